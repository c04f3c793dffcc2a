"""Pictures at another size: what shrinks is averaged, what grows is interpolated."""

import numpy as np
import pytest

from heliochrome.core.extent import Extent
from heliochrome.core.resize import resized

STRIPES = np.tile(np.array([0, 200], np.float32), (4, 4))  # (4, 8), one pixel wide


def test_what_shrinks_is_averaged():
    assert (resized(STRIPES, Extent(2, 4)) == 100).all()


def test_what_grows_is_interpolated():
    step = np.array([[0, 100]], np.float32)
    assert resized(step, Extent(4, 1)).tolist() == [[0, 25, 75, 100]]


def test_one_side_that_grows_makes_both_linear():
    ramp = np.arange(8, dtype=np.float32)[None]
    # the middle of three pixels, of which the average would take the neighbours too
    assert resized(ramp[:, :6] ** 2, Extent(2, 2)).tolist() == [[1, 16], [1, 16]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [(), (1,), (2,), (3,)])
@pytest.mark.parametrize("extent", [Extent(3, 2), Extent(9, 7)])
def test_kind_and_channels_stay(dtype, channels, extent):
    found = resized(np.full((4, 5, *channels), 200, dtype), extent)
    assert found.shape == (extent.height, extent.width, *channels) and found.dtype == dtype
    assert (found == 200).all()


def test_nothing_is_done_at_the_same_size():
    assert resized(STRIPES, Extent(8, 4)) is STRIPES
