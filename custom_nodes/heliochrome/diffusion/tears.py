"""Which torn pixels of a photograph are repaired together."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from ..core.extent import Extent

BoolArray = npt.NDArray[np.bool_]

_NEAR: Final = 8  # tears nearer than this part of the view are one
_NARROW: Final = 8  # tears of at most twice this part of the view in width are taken in pieces

Box = tuple[int, int, int, int]  # left, top, right, bottom


@dataclass(frozen=True)
class Tear:
    """Torn pixels within a box, which holds no smaller box of them all."""

    box: Box
    pixels: BoolArray

    @classmethod
    def of(cls, pixels: BoolArray, x: int, y: int) -> Tear:
        """From pixels, some of them torn, whose first is at (x, y)."""
        rows, columns = (np.flatnonzero(pixels.any(axis=axis)) for axis in (1, 0))
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        left, right = int(columns[0]), int(columns[-1]) + 1
        box = (x + left, y + top, x + right, y + bottom)
        return cls(box, pixels[top:bottom, left:right])

    def with_(self, other: Tear) -> Tear:
        box = _union(self.box, other.box)
        pixels = np.zeros((box[3] - box[1], box[2] - box[0]), bool)
        for tear in (self, other):
            left, top, right, bottom = tear.box
            inside = pixels[top - box[1] : bottom - box[1], left - box[0] : right - box[0]]
            inside |= tear.pixels
        return Tear(box, pixels)


def tears_in(torn: BoolArray, native: Extent, context: float) -> list[Tear]:
    """The torn pixels of (H, W), each in one tear, in no order.

    native: what is seen at once in full detail. context: see `region.find_regions`.
    """
    pieces = (part for tear in _near(torn, native) for part in _pieces(tear, native, context))
    return _packed(pieces, native, context)


def _near(torn: BoolArray, native: Extent) -> Iterator[Tear]:
    """Torn pixels in tears, between which there is more than a block of whole photograph."""
    block = max(min(native.width, native.height) // _NEAR, 1)
    height, width = torn.shape
    rows, columns = -(-height // block), -(-width // block)
    padded = np.zeros((rows * block, columns * block), bool)
    padded[:height, :width] = torn
    coarse = padded.reshape(rows, block, columns, block).any(axis=(1, 3))
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(coarse.astype(np.uint8))
    for label in range(1, count):
        x, y, w, h = (int(value) for value in boxes[label][:4])
        here = np.kron(labels[y : y + h, x : x + w] == label, np.ones((block, block), bool))
        here &= padded[y * block : (y + h) * block, x * block : (x + w) * block]
        yield Tear.of(here, x * block, y * block)


def _pieces(tear: Tear, native: Extent, context: float) -> Iterator[Tear]:
    """The tear itself, or its pieces if it is long and narrow."""
    narrow = max(min(native.width, native.height) // _NARROW, 1)
    if _fits(tear.box, native, context) or _depth(tear.pixels) > narrow:
        yield tear
        return
    cell = max(min(native.width, native.height) // 2, 1)
    height, width = tear.pixels.shape
    for top in range(0, height, cell):
        for left in range(0, width, cell):
            piece = tear.pixels[top : top + cell, left : left + cell]
            if piece.any():
                yield Tear.of(piece, tear.box[0] + left, tear.box[1] + top)


def _packed(pieces: Iterable[Tear], native: Extent, context: float) -> list[Tear]:
    """Neighbours that fit into one view in full detail put together."""
    cells: defaultdict[tuple[int, int], list[Tear]] = defaultdict(list)
    for piece in pieces:
        x, y = piece.box[0] // native.width, piece.box[1] // native.height
        for cell in product((x - 1, x, x + 1), (y - 1, y, y + 1)):
            for other in tuple(cells.get(cell, ())):
                if _fits(_union(piece.box, other.box), native, context):
                    cells[cell].remove(other)
                    piece = piece.with_(other)
        cells[piece.box[0] // native.width, piece.box[1] // native.height].append(piece)
    return [tear for tears in cells.values() for tear in tears]


def _depth(pixels: BoolArray) -> float:
    """Half the width of the widest part."""
    padded = np.pad(pixels, 1).astype(np.uint8)
    return float(cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE).max())


def _fits(box: Box, native: Extent, context: float) -> bool:
    around = 2 * padding(box, context)
    return box[2] - box[0] + around <= native.width and box[3] - box[1] + around <= native.height


def _union(one: Box, other: Box) -> Box:
    return (
        min(one[0], other[0]),
        min(one[1], other[1]),
        max(one[2], other[2]),
        max(one[3], other[3]),
    )


def padding(box: Box, context: float) -> int:
    """Pixels that are shown on each side of a tear."""
    return math.ceil(context * max(box[2] - box[0], box[3] - box[1]))
