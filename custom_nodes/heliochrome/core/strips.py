"""Row strips: whole-image memory is for the photograph, not for its intermediate planes."""

from __future__ import annotations

from typing import Final

from .extent import Extent

STRIP_PIXELS: Final = 1 << 18  # a strip's float planes stay in the processor's cache


def strips(extent: Extent) -> list[tuple[int, int]]:
    """[top, bottom) of each strip; together they cover every row once."""
    rows = max(1, STRIP_PIXELS // extent.width)
    return [(top, min(top + rows, extent.height)) for top in range(0, extent.height, rows)]
