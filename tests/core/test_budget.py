"""What fits: calibrated bytes, a margin, and a ladder of sizes."""

from __future__ import annotations

import pytest

from calibrated import Calibrated
from heliochrome.core.budget import LADDER, MARGIN, RESERVE, bytes_needed, largest_size, sizes
from heliochrome.core.extent import Extent
from heliochrome.core.presets import MAX_SIZE, MIN_SIZE, SIZE_STEP

WIDE = Extent(4000, 3000)
LINE = Extent(9000, 100)


def test_ladder_goes_from_the_largest_to_the_smallest_size_in_steps_of_the_network() -> None:
    assert (LADDER[0], LADDER[-1]) == (MAX_SIZE, MIN_SIZE)
    assert all(size % SIZE_STEP == 0 for size in LADDER)
    assert list(LADDER) == sorted(set(LADDER), reverse=True)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (1280, LADDER),
        (1000, (1000, *LADDER[2:])),
        (960, LADDER[2:]),
        (975, (975, *LADDER[3:])),  # 975 is run at 960: that is not tried twice
        (300, (300, 256)),
        (288, (288, 256)),
        (287, (287,)),
        (256, (256,)),
        (64, (64,)),
    ],
)
def test_asked_size_comes_first_and_none_is_tried_twice(
    asked: int, expected: tuple[int, ...]
) -> None:
    assert sizes(asked) == expected
    extents = [WIDE.fit(size, SIZE_STEP) for size in sizes(asked)]
    assert len(set(extents)) == len(extents)


@pytest.mark.parametrize("batch", [1, 3])
def test_need_is_what_was_measured_and_a_margin(batch: int) -> None:
    extent = Extent(512, 384)
    backend = Calibrated(fixed=50_000_000)
    measured = backend.activation_bytes(extent, batch)
    assert bytes_needed(backend, extent, batch) == round(measured * MARGIN) + RESERVE


@pytest.mark.parametrize("asked", [1280, 1000, 512, 256])
@pytest.mark.parametrize("photo", [WIDE, LINE, Extent(1, 1)])
def test_largest_size_needs_no_more_than_is_free_and_the_next_would(
    asked: int, photo: Extent
) -> None:
    """At every edge of every step, to the byte."""
    ladder = sizes(asked)
    needs = [bytes_needed(Calibrated(), photo.fit(size, SIZE_STEP)) for size in ladder]
    for place, (size, need) in enumerate(zip(ladder, needs, strict=True)):
        below = ladder[place + 1] if size != ladder[-1] else None
        assert largest_size(Calibrated(), photo, asked, need) == size
        assert largest_size(Calibrated(), photo, asked, need - 1) == below
    assert largest_size(Calibrated(), photo, asked, 1 << 50) == asked


def test_a_line_needs_less_than_a_square() -> None:
    assert largest_size(Calibrated(), LINE, 1280, 500_000_000) == 1280
    assert largest_size(Calibrated(), Extent(1, 1), 1280, 500_000_000) < 640
