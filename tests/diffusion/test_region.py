"""Repairing part of a photograph: what is whole stays as it is, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from heliochrome.core.errors import BadImage, BadSetting
from heliochrome.core.extent import Extent
from heliochrome.diffusion.region import View
from heliochrome.diffusion.repair import Blending, repair, torn_regions

FREE = View(Extent(64, 64), 16)
FIXED = View(Extent(64, 64), 64, fixed=True)
OBLONG = View(Extent(96, 48), 16, fixed=True)
VIEWS = {"free": FREE, "fixed": FIXED, "oblong": OBLONG}
NEW = np.array([0.9, 0.1, 0.4], np.float32)


def photo_of(width, height, seed=0):
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


def mask_of(width, height, *boxes):
    """1 within each (left, top, right, bottom)."""
    mask = np.zeros((height, width), np.float32)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = 1
    return mask


def flat(image, mask, index):
    """A model that paints everything in one colour."""
    return np.broadcast_to(NEW, image.shape).astype(np.float32)


def repaired(photo, mask, view=FREE, repaint=flat, **blending):
    how = Blending(**blending)
    return repair(photo, mask, torn_regions(photo, mask, view, how), repaint, how)


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("feather", [0, 1, 8, 40])
@pytest.mark.parametrize(
    ("size", "boxes"),
    [
        ((301, 200), [(100, 50, 160, 90)]),
        ((301, 200), [(0, 0, 30, 30), (271, 170, 301, 200)]),  # two corners
        ((301, 200), [(0, 0, 301, 200)]),  # everything
        ((301, 200), [(0, 99, 301, 102)]),  # a scratch from side to side
        ((1, 1), [(0, 0, 1, 1)]),
        ((7, 900), [(2, 400, 5, 440)]),
        ((900, 7), [(2, 2, 880, 4)]),
        ((20, 30), [(3, 4, 9, 11)]),  # smaller than what the model sees
        ((500, 400), [(x, y, x + 2, y + 2) for x in range(5, 500, 30) for y in range(5, 400, 30)]),
    ],
)
def test_whole_pixels_stay_bit_identical_and_torn_ones_are_new(view, feather, size, boxes):
    photo, mask = photo_of(*size), mask_of(*size, *boxes)
    before = photo.copy()
    done = repaired(photo, mask, view, feather=feather)
    whole = mask == 0
    assert np.array_equal(photo, before)
    assert np.array_equal(done.image[whole], photo[whole])
    assert done.image.dtype == np.float32
    changed = np.abs(done.image - photo).max(axis=-1) > 0
    assert changed[~whole].mean() > 0.99
    if feather == 0:
        assert np.allclose(done.image[~whole], NEW, atol=1e-6)
    covered = sum(int(region.own.sum()) for region in done.regions)
    assert covered == int(mask.sum()), "a torn pixel belongs to no region or to two"
    assert done.regions


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("size", [(301, 200), (30, 20), (1, 1), (5, 700), (3000, 40)])
def test_the_model_sees_only_what_it_can(view, size):
    photo, mask = photo_of(*size), mask_of(*size, (0, 0, size[0] // 2 + 1, size[1] // 2 + 1))
    seen = []

    def paint(image, mask, index):
        seen.append((image, mask))
        return image

    done = repaired(photo, mask, view, paint)
    for (image, torn), region in zip(seen, done.regions, strict=True):
        extent = Extent.of(image.shape)
        assert extent == region.seen == Extent.of(torn.shape)
        assert extent.width % view.step == extent.height % view.step == 0 or view.fixed
        assert not view.fixed or extent == view.native
        assert extent.pixels <= 1.6 * view.native.pixels
        assert image.min() >= 0 and image.max() <= 1 and image.dtype == torn.dtype == np.float32
        assert set(np.unique(torn)) <= {0, 1} and torn.max() == 1


def test_a_small_tear_is_seen_pixel_for_pixel():
    photo, mask = photo_of(301, 200), mask_of(301, 200, (150, 100, 160, 108))
    seen = []
    done = repaired(photo, mask, repaint=lambda *given: seen.append(given) or given[0], feather=0)
    (region,) = done.regions
    assert (region.extent, region.seen, region.scale) == (FREE.native, FREE.native, 1)
    image, torn, _ = seen[0]
    there = (slice(region.top, region.top + 64), slice(region.left, region.left + 64))
    assert np.array_equal(image[torn == 0], photo[there][torn == 0])
    assert torn.sum() > mask.sum(), "damage just beyond the mask would show through the latents"
    assert done.notices == ()


@pytest.mark.parametrize(
    ("boxes", "count"),
    [
        ([(10, 10, 20, 20), (900, 700, 920, 720)], 2),
        ([(10, 10, 20, 20), (24, 10, 30, 20)], 1),  # near: one view holds both
        ([(10, 10, 14, 14), (38, 38, 42, 42)], 1),  # both fit into one view
        ([(10, 10, 20, 20), (500, 10, 520, 20), (10, 700, 20, 720), (900, 700, 920, 720)], 4),
    ],
)
def test_tears_far_apart_are_separate_regions(boxes, count):
    photo, mask = photo_of(1000, 800), mask_of(1000, 800, *boxes)
    asked = []
    done = repaired(photo, mask, repaint=lambda *given: asked.append(given[2]) or given[0])
    assert len(done.regions) == count
    assert asked == list(range(count))


@pytest.mark.parametrize("view", [FREE, FIXED], ids=["free", "fixed"])
@pytest.mark.parametrize("apart", [9, 20])
def test_dust_and_long_scratches_are_repainted_piece_by_piece_in_full_detail(view, apart):
    dust = [(x, y, x + 2, y + 2) for x in range(5, 390, apart) for y in range(5, 290, apart)]
    photo, mask = photo_of(400, 300), mask_of(400, 300, (0, 150, 400, 156), *dust)
    done = repaired(photo, mask, view)
    assert all(region.scale == 1 for region in done.regions)
    assert len(done.regions) <= (400 / 32) * (300 / 32) * 1.5
    assert done.notices == ()


@pytest.mark.parametrize("feather", [0, 6])
def test_pieces_of_one_scratch_leave_no_trace_where_they_meet(feather):
    photo, mask = photo_of(400, 200), mask_of(400, 200, (0, 90, 400, 96))
    done = repaired(photo, mask, feather=feather)
    assert len(done.regions) > 4
    assert np.allclose(done.image[92:94], NEW, atol=1e-5)


def test_a_later_region_sees_what_an_earlier_one_painted():
    """Two broad tears whose surroundings overlap; the damage of neither is shown as if whole."""
    photo = np.full((400, 400, 3), 0.25, np.float32)
    mask = mask_of(400, 400, (10, 100, 390, 140), (10, 180, 390, 220))
    photo[mask > 0] = 1.0
    seen = []

    def paint(image, torn, index):
        seen.append(image)
        return np.full_like(image, 0.5)

    done = repaired(photo, mask, repaint=paint, feather=0)
    assert len(done.regions) == 2
    assert all(image.max() < 0.6 for image in seen)
    assert seen[0].max() < 0.3 < seen[1].max()


def test_damage_is_replaced_by_its_surroundings_before_the_model_starts():
    photo = np.full((100, 100, 3), (0.2, 0.4, 0.6), np.float32)
    mask = mask_of(100, 100, (40, 40, 60, 60))
    photo[mask > 0] = 1.0
    done = repaired(photo, mask, repaint=lambda image, *_: image, feather=0)
    assert np.abs(done.image - photo[0, 0]).max() < 4 / 255


def test_damage_never_shows_through_at_the_edge():
    photo, mask = np.full((200, 300, 3), 0.25, np.float32), mask_of(300, 200, (60, 50, 160, 150))
    mask[10:14, 10:290] = 1
    photo[mask > 0] = 1.0
    done = repaired(photo, mask, repaint=lambda image, *_: np.full_like(image, 0.5), feather=12)
    assert done.image.max() < 0.51


@pytest.mark.parametrize("feather", [0, 4, 12])
def test_the_edge_is_feathered_inwards_and_the_middle_is_new(feather):
    photo, mask = np.zeros((200, 200, 3), np.float32), mask_of(200, 200, (50, 50, 150, 150))
    photo[..., 0] = 0.1  # not grey
    done = repaired(photo, mask, feather=feather)
    row = (done.image[100, 50:100, 1] - photo[100, 50:100, 1]) / (NEW[1] - 0.0)
    assert (np.diff(row) >= -1e-6).all(), "not rising from the edge inwards"
    assert row[max(feather - 1, 0)] == pytest.approx(1, abs=1e-5)
    assert row[0] == pytest.approx(1 / max(feather, 1), abs=1e-5)


@pytest.mark.parametrize("wide", [1, 2, 3, 6])
def test_a_thin_scratch_is_repainted_in_full_for_all_its_feather(wide):
    photo, mask = photo_of(200, 200), mask_of(200, 200, (100, 20, 100 + wide, 180))
    done = repaired(photo, mask, feather=64)
    assert np.allclose(done.image[60:140, 100 + wide // 2], NEW, atol=1e-5)


def test_a_soft_mask_mixes_old_and_new():
    photo, mask = photo_of(100, 100), 0.25 * mask_of(100, 100, (30, 30, 70, 70))
    done = repaired(photo, mask, feather=0)
    wanted = photo + 0.25 * (NEW - photo)
    assert np.allclose(done.image[mask > 0], wanted[mask > 0], atol=1e-6)


@pytest.mark.parametrize("tint", [0.0, 0.1])
def test_a_grey_photograph_stays_grey(tint):
    photo = np.repeat(photo_of(200, 150)[..., :1], 3, axis=-1) * np.float32(0.8)
    photo[..., 0] += np.float32(tint)
    mask = mask_of(200, 150, (60, 60, 100, 100))
    done = repaired(photo, mask, feather=0)
    spread = np.ptp(done.image[mask > 0], axis=-1).max()
    assert spread < 1e-6 if tint == 0 else spread > 0.5


def test_a_grey_wall_in_a_coloured_photograph_is_repainted_in_colour():
    photo, mask = np.full((400, 400, 3), 0.5, np.float32), mask_of(400, 400, (20, 20, 40, 40))
    photo[350:, 350:] = (0.9, 0.2, 0.1)  # far from the tear: its view shows none of it
    done = repaired(photo, mask, feather=0)
    assert np.allclose(done.image[mask > 0], NEW, atol=1e-6)


@pytest.mark.parametrize("all_of_it", [False, True])
def test_only_what_is_whole_says_whether_a_photograph_has_colour(all_of_it):
    """A coloured stain on a grey photograph; and a mask that leaves nothing to judge by."""
    photo, mask = np.full((200, 200, 3), 0.5, np.float32), mask_of(200, 200, (0, 0, 128, 200))
    if all_of_it:
        mask[:] = 1
    else:
        photo[mask > 0] = (0.8, 0.6, 0.2)
    done = repaired(photo, mask, feather=0)
    assert np.ptp(done.image, axis=-1)[mask > 0].max() < 1e-6


def test_nothing_masked_is_told_and_nothing_is_run():
    photo = photo_of(60, 40)
    done = repaired(photo, np.zeros((40, 60), np.float32), repaint=None)
    assert np.array_equal(done.image, photo)
    assert [notice.code for notice in done.notices] == ["diffusion-nothing-masked"]


def test_a_large_tear_is_told_to_be_coarse():
    photo, mask = photo_of(800, 800), mask_of(800, 800, (100, 100, 600, 600))
    (notice,) = repaired(photo, mask).notices
    assert notice.code == "diffusion-region-coarse"
    assert float(notice.values["scale"]) == pytest.approx(800 / 64, abs=0.1)


class Stop(Exception):
    pass


def test_cancelling_leaves_the_photograph_alone():
    photo, mask = photo_of(300, 200), mask_of(300, 200, (10, 10, 30, 30), (250, 150, 270, 180))
    before, calls = photo.copy(), []

    def cancel():
        calls.append(1)
        if len(calls) == 2:
            raise Stop

    with pytest.raises(Stop):
        repair(photo, mask, torn_regions(photo, mask, FREE), flat, cancel=cancel)
    assert np.array_equal(photo, before)


@pytest.mark.parametrize(
    ("photo", "mask"),
    [
        (photo_of(60, 40), mask_of(40, 60)),
        (photo_of(60, 40), mask_of(60, 40).astype(np.float64)),
        (photo_of(60, 40), np.full((40, 60), np.nan, np.float32)),
        (photo_of(60, 40), np.full((40, 60), 2, np.float32)),
        (photo_of(60, 40), np.full((40, 60), -1, np.float32)),
        (photo_of(60, 40)[..., :1], mask_of(60, 40)),
        (np.full((40, 60, 3), np.nan, np.float32), mask_of(60, 40)),
    ],
)
def test_what_is_no_photograph_or_no_mask_is_refused(photo, mask):
    with pytest.raises(BadImage):
        torn_regions(photo, mask, FREE)


@pytest.mark.parametrize(
    "blending",
    [
        {"context": -0.1},
        {"context": 99},
        {"context": float("nan")},
        {"feather": -1},
        {"feather": 1000},
        {"feather": True},
    ],
)
def test_bad_blending_is_refused(blending):
    with pytest.raises(BadSetting, match=next(iter(blending))):
        Blending(**blending)
