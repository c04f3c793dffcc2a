"""Chroma upsampling: exact where it must be, better than the alternatives where it can be."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from heliochrome.core.chroma import ChromaUpsampler, limit_chroma
from heliochrome.core.extent import Extent
from heliochrome.core.presets import CHROMA_GUIDES, ChromaGuide

FULL = Extent(397, 301)


def two_regions() -> tuple[np.ndarray, np.ndarray]:
    """L* and ab with one slanted edge between two plain regions."""
    y, x = np.mgrid[: FULL.height, : FULL.width]
    inside = (x + 0.4 * y) < 230
    light = np.where(inside, 30, 80).astype(np.float32)
    ab = np.where(inside[..., None], (40, 10), (-20, 30)).astype(np.float32)
    return light, ab


def upsample(guide: ChromaGuide, scale: int, edge_sigma: float = 8.0) -> tuple[np.ndarray, ...]:
    light, ab = two_regions()
    size = (FULL.width // scale, FULL.height // scale)
    small_light = cv2.resize(light, size, interpolation=cv2.INTER_AREA)
    small_ab = cv2.resize(ab, size, interpolation=cv2.INTER_AREA)
    upsampler = ChromaUpsampler(small_light, small_ab, FULL, guide, edge_sigma)
    return upsampler.rows(0, FULL.height, light), ab


@pytest.mark.parametrize("scale", [3, 8])
def test_the_guide_keeps_colour_inside_its_edges(scale: int) -> None:
    error = {}
    for guide in CHROMA_GUIDES:
        found, truth = upsample(guide, scale)
        error[guide] = float(np.sqrt(np.mean((found - truth) ** 2)))
    assert error["joint-bilateral"] < 0.8 * error["bicubic"] < error["nearest"]


@pytest.mark.parametrize("guide", CHROMA_GUIDES)
def test_strips_are_the_whole(guide: ChromaGuide) -> None:
    light, ab = two_regions()
    small = cv2.resize(np.dstack((light, ab)), (96, 64), interpolation=cv2.INTER_AREA)
    upsampler = ChromaUpsampler(
        np.ascontiguousarray(small[..., 0]), small[..., 1:].copy(), FULL, guide, 8.0
    )
    whole = upsampler.rows(0, FULL.height, light)
    edges = [0, 1, 50, 51, 200, FULL.height]
    parts = [upsampler.rows(top, bottom, light[top:bottom]) for top, bottom in pairwise(edges)]
    assert np.abs(np.concatenate(parts) - whole).max() < 1e-4


@pytest.mark.parametrize("guide", CHROMA_GUIDES)
@pytest.mark.parametrize("full", [Extent(1, 1), Extent(31, 20), Extent(64, 32), Extent(900, 5)])
def test_plain_colour_stays_plain_at_any_size(guide: ChromaGuide, full: Extent) -> None:
    light = np.full((32, 64), 50, np.float32)
    ab = np.full((32, 64, 2), (12, -7), np.float32)
    upsampler = ChromaUpsampler(light, ab, full, guide, 8.0)
    found = upsampler.rows(0, full.height, np.full((full.height, full.width), 55, np.float32))
    assert found.shape == (full.height, full.width, 2)
    assert np.abs(found - (12, -7)).max() < 1e-3


def test_limit_leaves_moderate_chroma_and_bounds_the_rest() -> None:
    chroma = np.linspace(0, 250, 2000, dtype=np.float32)
    ab = np.stack((-0.8 * chroma, 0.6 * chroma), axis=1)
    limited = limit_chroma(ab, 80.0)
    found = np.hypot(*limited.T)
    assert np.array_equal(limited[chroma <= 60], ab[chroma <= 60])
    assert found.max() <= 80
    assert np.all(np.diff(found) >= -1e-4)  # stronger stays stronger
    assert np.all(np.diff(found) <= np.diff(chroma) + 1e-3)  # and there is no jump
    assert np.allclose(limited[chroma > 1, 0] / found[chroma > 1], -0.8, atol=1e-4)  # same hue
