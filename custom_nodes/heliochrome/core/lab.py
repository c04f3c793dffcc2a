"""sRGB (IEC 61966-2-1) and CIE Lab under D65 (CIE 15:2018), exact enough for 16 bit.

OpenCV's float Lab goes through a lookup cube and is off by more than a 16-bit level,
so only the reference mode uses it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
ImageArray = npt.NDArray[Any]  # uint8, uint16, or float32 in [0, 1]


def full_scale(dtype: npt.DTypeLike) -> int:
    """The value of white: 255, 65535, or 1 for float32."""
    dtype = np.dtype(dtype)
    if dtype in (np.uint8, np.uint16):
        return int(np.iinfo(dtype).max)
    if dtype == np.float32:
        return 1
    raise TypeError(f"expected uint8, uint16 or float32 pixels, got {dtype}")


@cache
def decode_table(dtype: np.dtype[Any]) -> FloatArray:
    """Linear light of every level of an integer `dtype`; empty for float32."""
    top = full_scale(dtype)
    if dtype == np.float32:
        return np.empty(0, np.float32)
    return srgb_to_linear((np.arange(top + 1) / top).astype(np.float32))


def readable(pixels: ImageArray) -> ImageArray:
    """`pixels` as the kernels take what they only read: in one piece, and of one numba type."""
    view = np.require(pixels, requirements=("C", "A")).view()
    view.flags.writeable = False
    return view


def srgb_to_linear(image: ImageArray) -> FloatArray:
    """Undo the sRGB transfer curve. Any shape, uint8 | uint16 | float32 -> float32 in [0, 1]."""
    from . import kernels

    if image.dtype != np.float32:
        return decode_table(image.dtype)[image]
    return _each(kernels.decode, image)


def linear_to_srgb(linear: FloatArray) -> FloatArray:
    """Apply the sRGB transfer curve to float32, clipped to [0, 1]; keeps the shape."""
    from . import kernels

    return _each(kernels.encode, linear)


def lightness(image: ImageArray) -> FloatArray:
    """CIE L* of sRGB pixels: (..., 3) uint8 | uint16 | float32 -> (...) float32 in [0, 100]."""
    from . import kernels

    light = np.empty(image.shape[:-1], np.float32)
    pixels = readable(image.reshape(1, -1, 3))
    kernels.lightness(pixels, light.reshape(-1), decode_table(image.dtype))
    return light


def grey(light: FloatArray) -> FloatArray:
    """The neutral sRGB value, in [0, 1], that has this L*; keeps the shape."""
    from . import kernels

    return _each(kernels.grey, light)


def lab_to_srgb(light: FloatArray, ab: FloatArray) -> FloatArray:
    """L* (...) and a*b* (..., 2) -> sRGB (..., 3), float32 in [0, 1].

    A colour that sRGB cannot show keeps its L* and hue and loses just enough chroma;
    clipping its channels would change the photograph's tones.
    """
    from . import kernels

    rgb = np.empty((*light.shape, 3), np.float32)
    flat = readable(np.asarray(light, np.float32).reshape(-1))
    chroma = readable(np.asarray(ab, np.float32).reshape(-1, 2))
    kernels.to_srgb(flat, chroma, rgb.reshape(1, -1, 3))
    return rgb


def as_floats(image: ImageArray) -> FloatArray:
    """uint8 | uint16 | float32 -> float32 in [0, 1], a new array of the same shape."""
    return image.astype(np.float32) / np.float32(full_scale(image.dtype))


def quantize(image: FloatArray, dtype: npt.DTypeLike) -> ImageArray:
    """float32 in [0, 1] -> the nearest level of `dtype` (uint8 | uint16 | float32)."""
    if np.dtype(dtype) == np.float32:
        return image
    levels: ImageArray = np.rint(image * np.float32(full_scale(dtype))).astype(dtype)
    return levels


def _each(kernel: Callable[..., Any], values: FloatArray) -> FloatArray:
    result = np.empty(np.shape(values), np.float32)
    kernel(readable(np.asarray(values, np.float32).reshape(-1)), result.reshape(-1))
    return result
