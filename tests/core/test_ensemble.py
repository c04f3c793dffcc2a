"""Several predictions of one photograph."""

import numpy as np
import pytest

from heliochrome.core.ensemble import agreement, combine, ensemble_sizes
from heliochrome.core.errors import BadSetting
from heliochrome.core.extent import Extent
from heliochrome.core.presets import ENSEMBLES, MAX_SIZE, MIN_SIZE, SIZE_STEP


@pytest.mark.parametrize(
    ("size", "passes", "sizes"),
    [
        (512, 1, (512,)),
        (512, 3, (512, 384, 256)),
        (512, 5, (512, 448, 384, 320, 256)),
        (256, 3, (256,)),
        (288, 5, (288,)),
        (320, 5, (320, 288, 256)),
        (352, 5, (352, 320, 288)),
        (1280, 3, (1280, 960, 640)),
        (1280, 5, (1280, 1120, 960, 800, 640)),
    ],
)
def test_sizes_lie_below_the_asked_one(size, passes, sizes):
    assert ensemble_sizes(size, passes) == sizes


@pytest.mark.parametrize("passes", ENSEMBLES)
def test_sizes_are_different_and_in_range(passes):
    for size in range(MIN_SIZE, MAX_SIZE + 1, 8):
        sizes = ensemble_sizes(size, passes)
        assert sizes[0] == max(sizes) == size and len(set(sizes)) == len(sizes)
        assert len(sizes) == passes or size < 512
        assert len(sizes) % 2 == 1
        assert all(MIN_SIZE <= other <= MAX_SIZE for other in sizes)
        assert all(other % SIZE_STEP == 0 for other in sizes[1:])


@pytest.mark.parametrize(("size", "passes"), [(512, 0), (512, 2), (512, 7), (224, 3), (1312, 1)])
def test_sizes_outside_the_range_are_refused(size, passes):
    with pytest.raises(BadSetting):
        ensemble_sizes(size, passes)


def test_one_wild_prediction_of_three_is_outvoted():
    rng = np.random.default_rng(1)
    good = rng.normal(0, 20, (24, 32, 2)).astype(np.float32)
    wild = np.full_like(good, 120)
    ab, confidence = combine([good, wild, good], Extent(32, 24))
    np.testing.assert_array_equal(ab, good)
    assert confidence.max() < 0.4  # one pair of three agrees


@pytest.mark.parametrize(("apart", "expected"), [(0, 1.0), (10, 0.5), (20, 0.2), (30, 0.1)])
def test_two_predictions_give_their_agreement(apart, expected):
    one = np.zeros((4, 6, 2), np.float32)
    other = one + np.float32([0.6 * apart, 0.8 * apart])
    np.testing.assert_allclose(agreement(one, other), expected, rtol=1e-6)
    ab, confidence = combine([one, other], Extent(6, 4))
    np.testing.assert_allclose(confidence, expected, rtol=1e-6)
    np.testing.assert_allclose(ab, (one + other) / 2, rtol=1e-6)


def test_predictions_of_other_sizes_are_brought_to_the_extent():
    ramps = []
    for height, width in ((40, 64), (24, 40), (64, 96)):
        across = (np.arange(width, dtype=np.float32) + 0.5) / width * 60
        ramps.append(np.stack(np.broadcast_arrays(across, -across), axis=-1))
        ramps[-1] = np.repeat(ramps[-1][None], height, axis=0)
    ab, confidence = combine(ramps, Extent(64, 40))
    assert ab.shape == (40, 64, 2) and ab.dtype == np.float32
    assert confidence.shape == (40, 64) and confidence.dtype == np.float32
    np.testing.assert_allclose(ab[:, 4:-4], ramps[0][:, 4:-4], atol=0.1)
    assert confidence.min() > 0.99


def test_one_prediction_is_itself():
    only = np.random.default_rng(2).normal(0, 20, (5, 7, 2)).astype(np.float32)
    ab, confidence = combine([only], Extent(7, 5))
    np.testing.assert_array_equal(ab, only)
    assert (confidence == 1).all()
    with pytest.raises(BadSetting):
        combine([], Extent(7, 5))
