"""Colour hints: kept where painted, spread to the edges, gone far away."""

import cv2
import numpy as np
import pytest

from heliochrome.core.errors import BadImage
from heliochrome.core.hints import Hints, apply_hints

RED, BLUE, GREY = (200, 40, 40), (40, 60, 200), (120, 120, 120)


def lab(color):
    pixel = np.float32(color).reshape(1, 1, 3) / 255
    return cv2.cvtColor(pixel, cv2.COLOR_RGB2Lab)[0, 0, 1:]


def painting(shape, *strokes):
    """Strokes: (rows, columns, colour)."""
    color, mask = np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.float32)
    for rows, columns, value in strokes:
        color[rows, columns] = value
        mask[rows, columns] = 1
    return Hints(color, mask)


@pytest.fixture
def two_rooms():
    """L*: dark left half, light right half, some grain; a network that gave brown."""
    light = np.full((120, 160), 35, np.float32)
    light[:, 80:] = 75
    light += np.random.default_rng(0).normal(0, 0.7, light.shape).astype(np.float32)
    return light, np.full((120, 160, 2), (8, 14), np.float32)


def test_paint_stays_and_fills_its_room_only(two_rooms):
    light, ab = two_rooms
    stroke = (slice(58, 62), slice(40, 60))
    out = apply_hints(ab, light, painting(light.shape, (*stroke, RED)))
    np.testing.assert_allclose(out[stroke], np.broadcast_to(lab(RED), (4, 20, 2)), atol=0.01)
    near = np.linalg.norm(out[50:70, 66:76] - lab(RED), axis=-1)
    assert near.max() < 0.5 * np.linalg.norm(lab(RED) - ab[0, 0]), (
        "the ground beside the stroke takes its colour"
    )
    beyond = np.linalg.norm(out[:, 84:] - ab[:, 84:], axis=-1)
    assert beyond.max() < 1, "nothing crosses the edge"


def test_it_fades_with_the_distance(two_rooms):
    _, ab = two_rooms
    even = np.full((120, 160), 50, np.float32)
    out = apply_hints(ab, even, painting(even.shape, (slice(56, 64), slice(4, 12), BLUE)))
    part = np.linalg.norm(out[60] - lab(BLUE), axis=-1) / np.linalg.norm(ab[0, 0] - lab(BLUE))
    assert (np.diff(part[12:]) >= -1e-4).all()
    assert part[14] < 0.1 and 0.3 < part[36] < 0.7
    np.testing.assert_array_equal(out[:, 100:], ab[:, 100:])


def test_two_colours_share_an_even_ground_softly():
    even = np.full((100, 100), 50, np.float32)
    ab = np.zeros((100, 100, 2), np.float32)
    strokes = ((slice(45, 55), slice(38, 42), RED), (slice(45, 55), slice(58, 62), BLUE))
    out = apply_hints(ab, even, painting(even.shape, *strokes))
    middle, even_mix = out[50, 49:51].mean(0), (lab(RED) + lab(BLUE)) / 2
    np.testing.assert_allclose(
        middle / np.hypot(*middle), even_mix / np.hypot(*even_mix), atol=0.05
    )
    jump = np.linalg.norm(np.diff(out[50, 42:58], axis=0), axis=-1)
    assert jump.max() < 0.5 * np.linalg.norm(lab(RED) - lab(BLUE))


def test_grey_paint_takes_colour_away(two_rooms):
    light, ab = two_rooms
    stroke = (slice(40, 80), slice(20, 50))
    out = apply_hints(ab, light, painting(light.shape, (*stroke, GREY)))
    np.testing.assert_allclose(out[stroke], 0, atol=0.05)


def test_a_half_covered_pixel_is_half_painted():
    even = np.full((64, 64), 50, np.float32)
    ab = np.zeros((64, 64, 2), np.float32)
    hints = painting(even.shape, (slice(20, 40), slice(20, 40), RED))
    hints.mask[:] *= np.float32(0.5)
    middle = apply_hints(ab, even, hints)[30, 30]
    assert 0.4 < np.hypot(*middle) / np.hypot(*lab(RED)) < 0.95


@pytest.mark.parametrize("scale", [1, 3, 16])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_painting_of_any_size_and_depth(two_rooms, scale, dtype):
    light, ab = two_rooms
    small = painting(light.shape, (slice(50, 70), slice(40, 60), RED))
    full = {np.uint8: 255, np.uint16: 65535, np.float32: 1}[dtype]
    color = (small.color / 255 * full).round(6).astype(dtype).repeat(scale, 0).repeat(scale, 1)
    large = Hints(color, small.mask.repeat(scale, 0).repeat(scale, 1))
    out = apply_hints(ab, light, large)
    np.testing.assert_allclose(out, apply_hints(ab, light, small), atol=0.05)


def test_a_painting_smaller_than_the_picture(two_rooms):
    light, ab = two_rooms
    out = apply_hints(ab, light, painting((12, 16), (slice(4, 8), slice(2, 6), RED)))
    np.testing.assert_allclose(out[60, 40], lab(RED), atol=0.5)


def test_no_paint_changes_nothing(two_rooms):
    light, ab = two_rooms
    np.testing.assert_array_equal(apply_hints(ab, light, painting(light.shape)), ab)


def test_everything_painted_is_the_painting(two_rooms):
    light, ab = two_rooms
    whole = painting(light.shape, (slice(None), slice(None), BLUE))
    np.testing.assert_allclose(
        apply_hints(ab, light, whole), np.broadcast_to(lab(BLUE), ab.shape), atol=0.01
    )


@pytest.mark.parametrize("shape", [(32, 1280), (64, 32), (32, 32)])
def test_long_and_tiny_pictures(shape):
    light = np.random.default_rng(1).uniform(0, 100, shape).astype(np.float32)
    hints = painting(shape, (slice(0, 8), slice(0, 8), RED))
    out = apply_hints(np.zeros((*shape, 2), np.float32), light, hints)
    assert out.shape == (*shape, 2) and out.dtype == np.float32 and np.isfinite(out).all()


GOOD = np.zeros((4, 5, 3), np.uint8)


@pytest.mark.parametrize(
    ("color", "mask"),
    [
        (GOOD[..., 0], np.zeros((4, 5), np.float32)),
        (GOOD.astype(np.float64), np.zeros((4, 5), np.float32)),
        (GOOD, np.zeros((5, 4), np.float32)),
        (GOOD, np.zeros((4, 5), np.uint8)),
        (GOOD, np.full((4, 5), 1.5, np.float32)),
        (GOOD, np.full((4, 5), np.nan, np.float32)),
        (np.full((4, 5, 3), np.nan, np.float32), np.zeros((4, 5), np.float32)),
        (GOOD[:0], np.zeros((0, 5), np.float32)),
    ],
)
def test_wrong_hints_are_refused(color, mask):
    with pytest.raises(BadImage, match="hints: expected"):
        Hints(color, mask)
