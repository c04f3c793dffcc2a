"""Chroma of a rendering with fewer bits, joined to the photograph's own lightness."""

from __future__ import annotations

import numpy as np
import pytest

from heliochrome.core.lab import lab_to_srgb, lightness, quantize
from heliochrome.core.merge import recolor


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_the_photographs_own_lightness_stays_and_the_chroma_is_taken(dtype):
    rows, columns = np.mgrid[0:70, 0:90].astype(np.float32)
    light = 20 + 60 * columns / 90 + rows / 70
    ab = np.stack((15 * np.sin(columns / 20), 20 * np.cos(rows / 15)), axis=-1).astype(np.float32)
    photo = quantize(lab_to_srgb(light, np.zeros_like(ab)), dtype)
    coloured = quantize(lab_to_srgb(light, ab), np.uint8)
    expected = quantize(lab_to_srgb(light, ab), dtype)
    out = photo.copy()
    recolor(out, coloured, out)
    assert np.abs(lightness(out) - lightness(photo)).max() < 0.01
    # Eight bits of the rendering are left in the chroma, and in nothing else.
    step = 1 / 255 * (65535 if dtype == np.uint16 else 1)
    assert np.abs(out.astype(np.float64) - expected.astype(np.float64)).max() < 2 * step
    # The rendering's own lightness would have been a loss.
    assert np.abs(lightness(coloured) - lightness(photo)).max() > 0.05
