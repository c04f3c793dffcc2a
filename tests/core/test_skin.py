"""The skin guard: plausible skin of every tone stays, impossible skin is brought back."""

import cv2
import numpy as np
import pytest

from heliochrome.core.errors import BadSetting
from heliochrome.core.faces import Face, find_faces
from heliochrome.core.lab import lightness
from heliochrome.core.skin import HUE, MAX_CHROMA, guard_skin
from portraits import astronaut

FACE = Face(x=0.3, y=0.25, width=0.4, height=0.5, score=0.9)
MIDDLE = (40, 40)  # row and column in the middle of FACE
ITA_CLASSES = (  # least individual typology angle of each class, degrees (Chardon 1991)
    ("very light", 55),
    ("light", 41),
    ("intermediate", 28),
    ("tan", 10),
    ("brown", -30),
    ("dark", -90),
)


def flat(light, ab, shape=(80, 80)):
    return np.full((*shape, 2), ab, np.float32), np.full(shape, light, np.float32)


def hue(ab):
    return np.degrees(np.arctan2(ab[..., 1], ab[..., 0])) % 360


def distance(one, other):
    return np.linalg.norm(one - other, axis=-1)


@pytest.mark.parametrize(
    ("tone", "light", "a", "b"),
    [
        ("very light", 72, 7, 13),
        ("very light", 78, 10, 15),
        ("light", 67, 9, 16),
        ("light", 64, 14, 13),
        ("intermediate", 62, 11, 18),
        ("intermediate", 60, 8, 17),
        ("tan", 56, 12, 20),
        ("tan", 54, 9, 19),
        ("brown", 47, 12, 19),
        ("brown", 42, 12, 17),
        ("dark", 37, 10, 14),
        ("dark", 30, 8, 10),
        ("dark", 25, 5, 6),
    ],
)
def test_skin_of_every_tone_is_left_as_it_is(tone, light, a, b):
    angle = np.degrees(np.arctan((light - 50) / b))
    assert next(name for name, least in ITA_CLASSES if angle > least) == tone
    ab, plane = flat(light, (a, b))
    np.testing.assert_array_equal(guard_skin(ab, plane, [FACE], 1.0), ab)


@pytest.mark.parametrize("light", [20, 35, 50, 65, 80])
@pytest.mark.parametrize(
    ("name", "ab"),
    [("green", (-30, 15)), ("blue", (5, -35)), ("purple", (30, -35)), ("cyan", (-25, -20))],
)
def test_an_impossible_face_becomes_skin(name, ab, light):
    painted, plane = flat(light, ab)
    guarded = guard_skin(painted, plane, [FACE], 1.0)
    face = guarded[20:60, 25:55]
    assert (hue(face) >= HUE[0] - 0.1).all() and (hue(face) <= HUE[1] + 0.1).all()
    assert (np.hypot(*np.moveaxis(face, -1, 0)) > 5).all(), "a grey face is no skin"
    np.testing.assert_array_equal(guarded[:, :8], painted[:, :8])
    np.testing.assert_array_equal(guarded[:, -8:], painted[:, -8:])


def test_a_green_cheek_takes_the_colour_of_the_same_face():
    for own in ((14.0, 12.0), (9.0, 20.0)):
        ab, plane = flat(55, own)
        ab[36:48, 44:52] = (-25, 20)
        guarded = guard_skin(ab, plane, [FACE], 1.0)
        assert distance(guarded[40, 48], np.float32(own)) < 3
        assert distance(guarded[40, 30], np.float32(own)) == 0


@pytest.mark.parametrize(
    ("name", "ab", "most"),
    [
        ("lips", (24, 11), 0.5),
        ("lipstick", (38, 13), 8),
        ("brown hair", (6, 12), 0.1),
        ("blond hair", (4, 22), 0.5),
        ("white of the eye", (-1, -2), 3),
        ("grey beard", (0, 1), 0.5),
    ],
)
def test_what_else_a_face_has_stays_nearly(name, ab, most):
    painted, plane = flat(55, (12, 17))
    painted[38:42, 38:42] = ab
    guarded = guard_skin(painted, plane, [FACE], 1.0)
    assert distance(guarded[MIDDLE], np.float32(ab)) <= most


def test_wrong_colours_of_every_hue_become_the_faces_own():
    for angle in np.radians(range(140, 331, 10)):
        ab, plane = flat(55, (12, 17))
        ab[MIDDLE] = 14 * np.cos(angle), 14 * np.sin(angle)
        guarded = guard_skin(ab, plane, [FACE], 1.0)
        assert distance(guarded[MIDDLE], np.float32((12, 17))) < 4


def test_no_grey_seam_is_left_between_two_wrong_colours():
    ab, plane = flat(55, (12, 17))
    across = np.linspace(-25, 25, 12, dtype=np.float32)  # blue to green through grey
    ab[30:50, 34:46] = np.stack((-0.6 * np.abs(across), across), axis=-1)
    seam = guard_skin(ab, plane, [FACE], 1.0)[32:48, 34:46]
    assert np.hypot(*np.moveaxis(ab[32:48, 34:46], -1, 0)).min() < 3
    assert np.hypot(*np.moveaxis(seam, -1, 0)).min() > 7


def test_too_much_chroma_is_bounded():
    ab, plane = flat(55, (50, 60))
    guarded = guard_skin(ab, plane, [FACE], 1.0)
    assert np.hypot(*guarded[MIDDLE]) <= MAX_CHROMA
    assert hue(guarded[MIDDLE]) == pytest.approx(hue(ab[MIDDLE]), abs=0.1)
    assert np.hypot(*guard_skin(ab, plane, [FACE], 1.0, max_chroma=20.0)[MIDDLE]) <= 20


@pytest.mark.parametrize("amount", [0.0, 0.25, 0.5, 1.0])
def test_amount_is_the_share_of_the_way(amount):
    ab, plane = flat(55, (-20, 10))
    whole = guard_skin(ab, plane, [FACE], 1.0)[MIDDLE] - ab[MIDDLE]
    part = guard_skin(ab, plane, [FACE], amount)[MIDDLE] - ab[MIDDLE]
    # own skin weighs the same at every amount, so the way is the same
    np.testing.assert_allclose(part, amount * whole, atol=1e-3)


def test_a_bright_sky_or_dark_collar_beside_the_face_is_spared():
    ab, plane = flat(55, (5, -35))
    plane[:, 58:] = 90  # just outside the face
    plane[70:] = 10
    ab[20:60, 25:55] = (12, 17)
    guarded = guard_skin(ab, plane, [FACE], 1.0)
    assert distance(guarded, ab)[:, 60:].max() < 1
    assert distance(guarded, ab)[72:].max() < 1


def test_nothing_jumps_from_hue_to_hue_or_from_pixel_to_pixel():
    around = np.radians(np.linspace(0, 360, 1441))
    before = None
    for angle in around:
        ab, plane = flat(55, (12, 17))
        ab[MIDDLE] = 30 * np.cos(angle), 30 * np.sin(angle)
        now = guard_skin(ab, plane, [FACE], 1.0)[MIDDLE]
        if before is not None:  # the colour itself moves 0.13 each time
            assert distance(now, before) < 0.6
        before = now
    ab, plane = flat(55, (5, -35), (400, 400))
    guarded = guard_skin(ab, plane, [FACE], 1.0)
    assert max(distance(np.diff(guarded, axis=axis), 0).max() for axis in (0, 1)) < 2


@pytest.mark.parametrize(
    "face",
    [
        Face(-0.2, -0.1, 0.4, 0.5, 0.9),
        Face(0.9, 0.8, 0.3, 0.4, 0.9),
        Face(0.5, 0.5, 0.001, 0.001, 0.9),
        Face(1.5, -2.0, 0.2, 0.2, 0.9),
        Face(-1.0, -1.0, 3.0, 3.0, 0.9),
    ],
)
def test_faces_over_the_edge_or_smaller_than_a_pixel(face):
    ab, plane = flat(55, (5, -35), (48, 64))
    guarded = guard_skin(ab, plane, [face], 1.0)
    assert guarded.shape == ab.shape and guarded.dtype == np.float32
    assert np.isfinite(guarded).all()


def test_no_face_changes_nothing():
    ab, plane = flat(55, (5, -35))
    np.testing.assert_array_equal(guard_skin(ab, plane, [], 1.0), ab)


def test_a_real_portrait_keeps_its_colours_and_loses_a_blue_face():
    rgb = astronaut()
    light = lightness(rgb)
    true = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)[..., 1:].copy()
    faces = find_faces(light)
    assert distance(guard_skin(true, light, faces, 1.0), true).mean() < 0.2
    face = (slice(45, 110), slice(118, 165))
    blue = true.copy()
    blue[face] = (5, -30)
    guarded = guard_skin(blue, light, faces, 1.0)
    before, after = (distance(ab[face], true[face]).mean() for ab in (blue, guarded))
    assert after < 0.35 * before


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": -0.1},
        {"amount": 1.1},
        {"amount": 1.0, "hue": (80.0, 25.0)},
        {"amount": 1.0, "hue": (0.0, 200.0)},
        {"amount": 1.0, "max_chroma": 0.0},
        {"amount": float("nan")},
    ],
)
def test_wrong_parameters_are_refused(wrong):
    ab, plane = flat(55, (12, 17))
    with pytest.raises(BadSetting):
        guard_skin(ab, plane, [FACE], **wrong)


@pytest.mark.parametrize("allowed", [(40.0, 60.0), (-30.0, 30.0), (90.0, 150.0)])
def test_another_range_of_hues(allowed):
    ab, plane = flat(55, (-15, -25))
    angle = hue(guard_skin(ab, plane, [FACE], 1.0, hue=allowed)[MIDDLE])
    assert allowed[0] - 0.1 <= (angle + 180) % 360 - 180 <= allowed[1] + 0.1
