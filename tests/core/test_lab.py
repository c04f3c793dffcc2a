"""Colour conversion against published values, and tone preservation."""

from __future__ import annotations

import numpy as np
import pytest

from heliochrome.core.lab import grey, lab_to_srgb, lightness, linear_to_srgb, srgb_to_linear

# sRGB -> CIE Lab under D65, http://www.brucelindbloom.com (adaptation: none)
KNOWN = [
    ((255, 255, 255), (100.0, 0.0, 0.0)),
    ((0, 0, 0), (0.0, 0.0, 0.0)),
    ((119, 119, 119), (50.03, 0.0, 0.0)),
    ((255, 0, 0), (53.24, 80.09, 67.20)),
    ((0, 255, 0), (87.73, -86.18, 83.18)),
    ((0, 0, 255), (32.30, 79.19, -107.86)),
    ((1, 1, 1), (0.27, 0.0, 0.0)),
]


@pytest.mark.parametrize(("rgb", "lab"), KNOWN)
def test_known_colours(rgb: tuple[int, ...], lab: tuple[float, ...]) -> None:
    pixel = np.array([rgb], np.uint8)
    assert lightness(pixel)[0] == pytest.approx(lab[0], abs=0.02)
    back = lab_to_srgb(np.float32([lab[0]]), np.float32([lab[1:]])) * 255
    assert back[0] == pytest.approx(rgb, abs=0.5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_grey_level_survives(dtype: type) -> None:
    top = np.iinfo(dtype).max
    levels = np.arange(top + 1, dtype=dtype)
    pixels = np.repeat(levels[:, None], 3, axis=1)
    light = lightness(pixels)
    assert np.array_equal(np.rint(grey(light) * top).astype(dtype), levels)
    neutral = lab_to_srgb(light, np.zeros((levels.size, 2), np.float32))
    assert np.array_equal(np.rint(neutral * top).astype(dtype), pixels)


def test_transfer_curve_inverts() -> None:
    x = np.linspace(0, 1, 4097, dtype=np.float32)
    assert np.abs(linear_to_srgb(srgb_to_linear(x)) - x).max() < 1e-6


def test_colours_outside_srgb_lose_chroma_and_keep_lightness_and_hue() -> None:
    rng = np.random.default_rng(5)
    light = rng.uniform(2, 98, 5000).astype(np.float32)
    ab = rng.uniform(-150, 150, (5000, 2)).astype(np.float32)
    rgb = lab_to_srgb(light, ab)
    assert rgb.min() >= 0 and rgb.max() <= 1
    assert np.abs(lightness(rgb) - light).max() < 0.01
    # the same direction: the red-green and blue-yellow signs of vivid colours stay
    from cv2 import COLOR_RGB2Lab, cvtColor

    got = cvtColor(rgb[None], COLOR_RGB2Lab)[0, :, 1:]
    vivid = np.hypot(*got.T) > 20
    turn = np.degrees(np.arctan2(*ab[vivid].T[::-1]) - np.arctan2(*got[vivid].T[::-1]))
    assert np.abs((turn + 180) % 360 - 180).max() < 3


def test_inside_srgb_nothing_is_lost() -> None:
    pixels = np.random.default_rng(6).integers(0, 256, (4000, 3), np.uint8)
    x, y, z = textbook_xyz(pixels / 255).T
    f = [np.where(v > 216 / 24389, np.cbrt(v), (24389 / 27 * v + 16) / 116) for v in (x, y, z)]
    ab = np.stack((500 * (f[0] - f[1]), 200 * (f[1] - f[2])), axis=1).astype(np.float32)
    assert np.abs(lightness(pixels) - (116 * f[1] - 16)).max() < 1e-3
    assert np.abs(lab_to_srgb(lightness(pixels), ab) * 255 - pixels).max() < 0.1


def textbook_xyz(srgb: np.ndarray) -> np.ndarray:
    """XYZ relative to D65 white, in float64, from the primaries' chromaticities."""
    xy = np.array([(0.64, 0.33), (0.30, 0.60), (0.15, 0.06), (0.3127, 0.3290)])
    xyz = np.column_stack((xy, 1 - xy.sum(axis=1))) / xy[:, 1:]
    primaries, white = xyz[:3].T, xyz[3]
    matrix = primaries * np.linalg.solve(primaries, white)
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return linear @ matrix.T / white


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.bool_])
def test_other_dtypes_are_refused(dtype: type) -> None:
    with pytest.raises(TypeError, match="expected uint8, uint16 or float32"):
        srgb_to_linear(np.zeros((2, 3), dtype))
