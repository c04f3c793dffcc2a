from __future__ import annotations

from itertools import pairwise

import pytest

from heliochrome.core.extent import Extent
from heliochrome.core.strips import STRIP_PIXELS, strips


@pytest.mark.parametrize(
    ("width", "height", "size", "expected"),
    [
        (512, 512, 512, (512, 512)),
        (4000, 3000, 512, (512, 384)),
        (3000, 4000, 512, (384, 512)),
        (936, 750, 960, (960, 768)),
        (100, 80, 512, (512, 416)),  # small photographs are enlarged for the network
        (1, 1, 256, (256, 256)),
        (20000, 3, 512, (512, 32)),
        (3, 20000, 512, (32, 512)),
        (517, 333, 500, (480, 320)),  # the size is an upper bound: 500 -> 480
        (640, 480, 1280, (1280, 960)),
    ],
)
def test_fit(width: int, height: int, size: int, expected: tuple[int, int]) -> None:
    fitted = Extent(width, height).fit(size, 32)
    assert (fitted.width, fitted.height) == expected


@pytest.mark.parametrize(
    ("width", "height"), [(1, 1), (7, 100_000), (100_000, 7), (4000, 3000), (STRIP_PIXELS * 2, 3)]
)
def test_strips_cover_every_row_once(width: int, height: int) -> None:
    pieces = strips(Extent(width, height))
    assert pieces[0][0] == 0 and pieces[-1][1] == height
    assert all(a[1] == b[0] for a, b in pairwise(pieces))
    assert all(bottom > top for top, bottom in pieces)
    assert all((b - t) * width <= STRIP_PIXELS or b - t == 1 for t, b in pieces)
