"""sRGB (IEC 61966-2-1) and CIE Lab under D65 (CIE 15:2018), exact enough for 16 bit.

OpenCV's float Lab goes through a lookup cube and is off by more than a 16-bit level,
so only the reference mode uses it.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
ImageArray = npt.NDArray[Any]  # uint8, uint16, or float32 in [0, 1]

# Linear sRGB -> XYZ, rows divided by the D65 white that they sum to, so white is (1, 1, 1).
_RGB_TO_XYZ: Final = np.array(
    [
        [0.4123907993, 0.3575843394, 0.1804807884],
        [0.2126390059, 0.7151686788, 0.0721923154],
        [0.0193308187, 0.1191947798, 0.9505321522],
    ]
)
_TO_WHITE: Final = _RGB_TO_XYZ / _RGB_TO_XYZ.sum(axis=1, keepdims=True)
_FROM_WHITE: Final = np.linalg.inv(_TO_WHITE).astype(np.float32)
_Y: Final = _TO_WHITE[1].astype(np.float32)
_EPSILON: Final = (6 / 29) ** 3  # CIE: below it the cube root becomes a line
_KAPPA: Final = (29 / 3) ** 3

_GAMUT_SLACK: Final = 1e-6
_GAMUT_STEPS: Final = 12  # bisections of the chroma factor: to 1/4096 of the chroma


def full_scale(dtype: npt.DTypeLike) -> int:
    """The value of white: 255, 65535, or 1 for float32."""
    dtype = np.dtype(dtype)
    if dtype in (np.uint8, np.uint16):
        return int(np.iinfo(dtype).max)
    if dtype == np.float32:
        return 1
    raise TypeError(f"expected uint8, uint16 or float32 pixels, got {dtype}")


def _decode(encoded: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


@cache
def _decode_table(dtype: np.dtype[Any]) -> FloatArray:
    levels = np.arange(full_scale(dtype) + 1, dtype=np.float64)
    return _decode(levels / full_scale(dtype)).astype(np.float32)


def srgb_to_linear(image: ImageArray) -> FloatArray:
    """Undo the sRGB transfer curve. Any shape, uint8 | uint16 | float32 -> float32 in [0, 1]."""
    if image.dtype == np.float32:
        return _decode(np.clip(image, 0, 1)).astype(np.float32)
    return _decode_table(image.dtype)[image]


def linear_to_srgb(linear: FloatArray) -> FloatArray:
    """Apply the sRGB transfer curve to float32 in [0, 1]."""
    curve = np.power(np.maximum(linear, 0.0031308), np.float32(1 / 2.4))
    return np.where(
        linear <= 0.0031308, linear * np.float32(12.92), np.float32(1.055) * curve - 0.055
    ).astype(np.float32)


def lightness(image: ImageArray) -> FloatArray:
    """CIE L* of sRGB pixels: (..., 3) uint8 | uint16 | float32 -> (...) float32 in [0, 100]."""
    y: FloatArray = srgb_to_linear(image) @ _Y
    root = np.cbrt(y)
    return np.where(y > _EPSILON, 116 * root - 16, np.float32(_KAPPA) * y).astype(np.float32)


def grey(light: FloatArray) -> FloatArray:
    """The neutral sRGB value, in [0, 1], that has this L*; keeps the shape."""
    return linear_to_srgb(_luminance(np.clip(light, 0, 100)))


def _luminance(light: FloatArray) -> FloatArray:
    return _inverse((light + 16) / np.float32(116))


def _inverse(f: npt.NDArray[np.floating[Any]]) -> FloatArray:
    return np.where(f > 6 / 29, f**3, (116 * f - 16) / np.float32(_KAPPA)).astype(np.float32)


def _linear_rgb(light: FloatArray, ab: FloatArray) -> FloatArray:
    fy = (light + 16) / np.float32(116)
    fx, fz = fy + ab[..., 0] / 500, fy - ab[..., 1] / 200
    white_xyz = np.stack((_inverse(fx), _inverse(fy), _inverse(fz)), axis=-1)
    rgb: FloatArray = white_xyz @ _FROM_WHITE.T
    return rgb


def lab_to_srgb(light: FloatArray, ab: FloatArray) -> FloatArray:
    """L* (...) and a*b* (..., 2) -> sRGB (..., 3), float32 in [0, 1].

    A colour that sRGB cannot show keeps its L* and hue and loses just enough chroma;
    clipping its channels would change the photograph's tones.
    """
    rgb = _linear_rgb(light, ab)
    outside = ((rgb < -_GAMUT_SLACK) | (rgb > 1 + _GAMUT_SLACK)).any(axis=-1)
    if outside.any():
        rgb[outside] = _fit_gamut(light[outside], ab[outside])
    return linear_to_srgb(np.clip(rgb, 0, 1))


def _fit_gamut(light: FloatArray, ab: FloatArray) -> FloatArray:
    low: FloatArray = np.zeros_like(light)  # grey always fits
    high: FloatArray = np.ones_like(light)
    for _ in range(_GAMUT_STEPS):
        middle = (low + high) * np.float32(0.5)
        rgb = _linear_rgb(light, ab * middle[..., None])
        fits = ((rgb >= 0) & (rgb <= 1)).all(axis=-1)
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    return _linear_rgb(light, ab * low[..., None])


def quantize(image: FloatArray, dtype: npt.DTypeLike) -> ImageArray:
    """float32 in [0, 1] -> the nearest level of `dtype` (uint8 | uint16 | float32)."""
    if np.dtype(dtype) == np.float32:
        return image
    levels: ImageArray = np.rint(image * np.float32(full_scale(dtype))).astype(dtype)
    return levels
