"""Which preset is chosen, with its reason."""

import cv2
import numpy as np
import pytest

from heliochrome.core.faces import Face, find_faces
from heliochrome.core.lab import lightness
from heliochrome.core.presets import BUILDING, DEFAULT_PRESET, PORTRAIT
from heliochrome.core.scene import choose_preset
from portraits import astronaut, old_photograph


def face(height):
    return Face(0.4, 0.4, height, height, 0.9)


def facade(width=640, height=480):
    """L* of a house front: dark windows in rows."""
    light = np.full((height, width), 70, np.float32)
    for x in range(60, width - 60, 60):
        for y in range(60, height - 80, 90):
            light[y : y + 60, x : x + 30] = 20
    return cv2.GaussianBlur(light, (0, 0), 1)


def hills(width=640, height=480):
    """L* of round shapes."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return (50 + 30 * np.sin(x / 90) * np.cos(y / 70)).astype(np.float32)


def test_a_portrait():
    light = lightness(astronaut())
    choice = choose_preset(light, find_faces(light))
    assert choice.preset is PORTRAIT and choice.seen == "faces" and choice.count == 1
    assert choice.reason == "1 face was found, the largest with 22% of the long side."


@pytest.mark.parametrize("size", [(320, 240), (640, 480), (1280, 960), (480, 1280)])
def test_a_facade_is_a_building_at_any_size(size):
    light = cv2.resize(facade(), size, interpolation=cv2.INTER_AREA)
    choice = choose_preset(light, [])
    assert choice.preset is BUILDING and choice.seen == "uprights"
    assert choice.reason.startswith(f"{choice.count} long upright lines")


def test_lying_lines_are_no_building():
    choice = choose_preset(hills(), [])
    assert choice.preset is DEFAULT_PRESET and choice.seen == "nothing"
    stripes = np.repeat(np.where(np.arange(480) // 20 % 2, 20, 80), 640).reshape(480, 640)
    assert choose_preset(stripes.astype(np.float32), []).seen == "nothing"


@pytest.mark.parametrize(
    ("faces", "expected"),
    [
        ([], BUILDING),
        ([face(0.03)], BUILDING),
        ([face(0.03)] * 3, PORTRAIT),
        ([face(0.2)], PORTRAIT),
        ([face(0.03), face(0.2)], PORTRAIT),
    ],
)
def test_people_come_before_buildings_unless_they_are_passers_by(faces, expected):
    assert choose_preset(facade(), faces).preset is expected


def test_the_border_of_a_print_is_no_building():
    light = np.full((640, 240), 95, np.float32)
    light[8:-8, 8:-8] = hills(224, 624) - 15
    assert choose_preset(light, []).seen == "nothing"


@pytest.mark.parametrize("shape", [(32, 32), (32, 1280), (1, 1)])
def test_small_and_long_pictures(shape):
    assert choose_preset(np.full(shape, 50, np.float32), []).preset is DEFAULT_PRESET


@pytest.mark.parametrize(
    ("starts", "expected", "seen"),
    [
        ("Abandoned Boy", PORTRAIT, "faces"),
        ("Audrey", PORTRAIT, "faces"),
        ("Einstein", PORTRAIT, "faces"),
        ("February 1936", PORTRAIT, "faces"),
        ("Helen Keller", PORTRAIT, "faces"),
        ("Louis Armstrong", PORTRAIT, "faces"),
        ("colorized-historical", PORTRAIT, "faces"),
        ("Acrobats", BUILDING, "uprights"),
        ("Broadway", BUILDING, "uprights"),
        ("Buffalo", BUILDING, "uprights"),
        ("Detroit", BUILDING, "uprights"),
        ("New York", BUILDING, "uprights"),
        ("Ansel Adams", DEFAULT_PRESET, "nothing"),
    ],
)
def test_old_photographs(starts, expected, seen):
    light = old_photograph(starts)
    choice = choose_preset(light, find_faces(light))
    assert (choice.preset, choice.seen) == (expected, seen)
