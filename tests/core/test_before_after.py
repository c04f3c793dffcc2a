"""Before and after in one picture."""

import numpy as np
import pytest

from heliochrome.core.before_after import side_by_side
from heliochrome.core.errors import BadImage

MID = {np.uint8: 127, np.uint16: 32767, np.float32: 0.5}


def pictures(shape, dtype):
    rng = np.random.default_rng(0)
    full = 1 if dtype is np.float32 else np.iinfo(dtype).max
    return tuple((rng.uniform(0, 1, (*shape, 3)) * full).astype(dtype) for _ in range(2))


@pytest.mark.parametrize("dtype", list(MID))
@pytest.mark.parametrize("batch", [(), (3,)])
def test_left_and_right(dtype, batch):
    before, after = pictures((*batch, 400, 600), dtype)
    pair = side_by_side(before, after)
    assert pair.dtype == dtype and pair.shape == (*batch, 400, 1203, 3)
    np.testing.assert_array_equal(pair[..., :600, :], before)
    np.testing.assert_array_equal(pair[..., 603:, :], after)
    assert (pair[..., 600:603, :] == MID[dtype]).all()


@pytest.mark.parametrize("batch", [(), (2,)])
def test_wide_pictures_are_stacked(batch):
    before, after = pictures((*batch, 100, 1000), np.uint16)
    pair = side_by_side(before, after)
    assert pair.shape == (*batch, 205, 1000, 3)
    np.testing.assert_array_equal(pair[..., :100, :, :], before)
    np.testing.assert_array_equal(pair[..., 105:, :, :], after)


@pytest.mark.parametrize(
    ("height", "width", "shape"),
    [(1, 1, (1, 4)), (90, 160, (90, 322)), (90, 161, (182, 161)), (3000, 10, (3000, 35))],
)
def test_which_way_round(height, width, shape):
    before, after = pictures((height, width), np.uint8)
    assert side_by_side(before, after).shape == (*shape, 3)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (np.zeros((4, 5, 3), np.uint8), np.zeros((4, 6, 3), np.uint8)),
        (np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5, 3), np.uint16)),
        (np.zeros((4, 5, 3), np.uint8), np.zeros((1, 4, 5, 3), np.uint8)),
        (np.zeros((4, 5), np.uint8), np.zeros((4, 5), np.uint8)),
        (np.zeros((4, 5, 4), np.uint8), np.zeros((4, 5, 4), np.uint8)),
        (np.zeros((4, 5, 3), np.float64), np.zeros((4, 5, 3), np.float64)),
        (np.zeros((0, 5, 3), np.uint8), np.zeros((0, 5, 3), np.uint8)),
    ],
)
def test_pictures_that_do_not_match_are_refused(before, after):
    with pytest.raises(BadImage, match=r"^before( and after)?: expected"):
        side_by_side(before, after)
