"""Taking over the colours of a reference picture."""

import cv2
import numpy as np
import pytest

from heliochrome.core.errors import BadImage, BadSetting
from heliochrome.core.reference_color import ReferenceColors, transfer
from portraits import astronaut


def lab_of(rgb):
    """(L*, a*b*) of uint8 sRGB."""
    lab = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    return lab[..., 0].copy(), lab[..., 1:].copy()


def plain(rgb, shape=(40, 60)):
    return np.full((*shape, 3), rgb, np.uint8)


@pytest.fixture(scope="module")
def portrait():
    return astronaut()


def test_a_picture_with_its_own_colours_stays(portrait):
    light, ab = lab_of(portrait)
    same = transfer(ab, light, ReferenceColors.of(portrait), 1.0)
    assert np.linalg.norm(same - ab, axis=-1).max() < 0.5


def test_mean_and_spread_become_the_references(portrait):
    light, ab = lab_of(portrait)
    turned = ab @ np.float32([[0.4, 0.5], [-0.3, 0.6]]) + np.float32([6, -9])
    back = transfer(turned, light, ReferenceColors.of(portrait), 1.0)
    for low, high in ((0, 100), (60, 100), (20, 60)):
        part = (light >= low) & (light <= high)
        np.testing.assert_allclose(back[part].mean(0), ab[part].mean(0), atol=2.5)
        wanted, got = np.cov(ab[part].T), np.cov(back[part].T)
        np.testing.assert_allclose(got, wanted, atol=0.15 * np.trace(wanted))


def test_lightness_decides_which_colour():
    reference = np.concatenate((plain((20, 30, 90)), plain((240, 200, 120))))
    dark, bright = (lab_of(plain(c))[1][0, 0] for c in ((20, 30, 90), (240, 200, 120)))
    light = np.float32([[8, 12, 16], [80, 84, 86]])
    ab = transfer(np.zeros((2, 3, 2), np.float32), light, ReferenceColors.of(reference), 1.0)
    assert np.linalg.norm(ab[0] - dark, axis=-1).max() < 10
    assert np.linalg.norm(ab[1] - bright, axis=-1).max() < 10


@pytest.mark.parametrize("amount", [0.0, 0.3, 1.0])
def test_amount_is_the_share_of_the_way(portrait, amount):
    light, ab = lab_of(portrait)
    reference = ReferenceColors.of(plain((200, 80, 40)))
    whole = transfer(ab, light, reference, 1.0) - ab
    part = transfer(ab, light, reference, amount) - ab
    np.testing.assert_allclose(part, amount * whole, atol=1e-3)


def test_neighbouring_lightness_gets_neighbouring_colour(portrait):
    light = np.linspace(0, 100, 2001, dtype=np.float32)[None]
    ab = np.full((1, 2001, 2), (10, 5), np.float32)
    moved = transfer(ab, light, ReferenceColors.of(portrait), 1.0)
    assert np.linalg.norm(np.diff(moved[0], axis=0), axis=-1).max() < 0.2


@pytest.mark.parametrize("color", [(200, 80, 40), (255, 0, 0), (0, 0, 255), (250, 250, 180)])
def test_one_colour_only_is_finite_and_that_colour(portrait, color):
    light, ab = lab_of(portrait)
    moved = transfer(ab, light, ReferenceColors.of(plain(color)), 1.0)
    assert np.isfinite(moved).all()
    np.testing.assert_allclose(moved.mean((0, 1)), lab_of(plain(color))[1][0, 0], atol=2)


def test_faint_noise_is_not_blown_up(portrait):
    light, _ = lab_of(portrait)
    faint = np.random.default_rng(0).normal(0, 0.3, (*light.shape, 2)).astype(np.float32)
    flat = np.zeros_like(faint)
    reference = ReferenceColors.of(portrait)
    noise = transfer(faint, light, reference, 1.0) - transfer(flat, light, reference, 1.0)
    assert noise.std() < 3.1 * faint.std()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("scale", [1, 5])
def test_depth_and_size_of_the_reference_do_not_matter(portrait, dtype, scale):
    full = {np.uint8: 255, np.uint16: 65535, np.float32: 1}[dtype]
    picture = (portrait / 255 * full).round(6).astype(dtype).repeat(scale, 0).repeat(scale, 1)
    one, other = ReferenceColors.of(portrait), ReferenceColors.of(picture)
    np.testing.assert_allclose(other.means, one.means, atol=0.5)
    np.testing.assert_allclose(other.covariances, one.covariances, atol=12)


def test_a_small_patch_of_colour_is_still_a_colour_picture():
    picture = plain((128, 128, 128))
    picture[:10, :20] = (200, 30, 30)
    ReferenceColors.of(picture)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (plain((128, 128, 128)), "grey one"),
        (plain((250, 249, 248)), "grey one"),
        (plain((9, 9, 9))[..., 0], "expected RGB"),
        (plain((9, 9, 9)).astype(np.float64), "expected RGB"),
        (np.full((4, 4, 3), np.nan, np.float32), "NaN"),
        (plain((9, 9, 9))[:0], "expected RGB"),
    ],
)
def test_what_is_no_colour_picture_is_refused(picture, message):
    with pytest.raises(BadImage, match=message):
        ReferenceColors.of(picture)


@pytest.mark.parametrize("amount", [-0.1, 1.1, float("nan")])
def test_wrong_amounts_are_refused(portrait, amount):
    light, ab = lab_of(portrait)
    with pytest.raises(BadSetting):
        transfer(ab, light, ReferenceColors.of(portrait), amount)
