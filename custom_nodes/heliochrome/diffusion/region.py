"""Which parts of a photograph are repainted one by one by a model whose view is small."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from ..core.extent import Extent

if TYPE_CHECKING:
    from .model import DiffusionModel

BoolArray = npt.NDArray[np.bool_]
_Value = TypeVar("_Value", bound=np.generic)

MAX_REGIONS: Final = 16  # dust all over a scan is repainted in so many passes at most
_NEAR: Final = 8  # tears nearer than this part of the model's view are one
_SLENDER: Final = 2  # models make sense of views up to twice as long as wide


@dataclass(frozen=True)
class View:
    """What a model takes in: sizes in pixels.

    native: the size it was trained for. step: sides are multiples of it. fixed: native is
    the only size.
    """

    native: Extent
    step: int
    fixed: bool = False

    @classmethod
    def of(cls, model: DiffusionModel) -> View:
        if model.fixed is not None:
            return cls(model.fixed, model.size_step, fixed=True)
        return cls(model.native, model.size_step)


@dataclass(frozen=True)
class Region:
    """A part of a photograph, in its pixels; it may reach beyond a photograph that is small.

    own: (height, width) bool, the pixels that are this region's to repaint. seen: the size
    at which the model sees it.
    """

    left: int
    top: int
    own: BoolArray
    seen: Extent

    @property
    def extent(self) -> Extent:
        return Extent.of(self.own.shape)

    @property
    def scale(self) -> float:
        """Pixels of the photograph to one of the model's; above 1 fine detail is lost."""
        return max(
            self.extent.width / self.seen.width,
            self.extent.height / self.seen.height,
        )

    def cut(self, plane: npt.NDArray[_Value]) -> npt.NDArray[_Value]:
        """This part of (H, W, ...), mirrored where it reaches beyond."""
        height, width = plane.shape[:2]
        rows = _mirrored(self.top, self.extent.height, height)
        columns = _mirrored(self.left, self.extent.width, width)
        return plane[np.ix_(rows, columns)]

    def overlap(self, photo: Extent) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Rows and columns of what is inside the photograph: there, and in this region."""
        top, bottom = max(self.top, 0), min(self.top + self.extent.height, photo.height)
        left, right = max(self.left, 0), min(self.left + self.extent.width, photo.width)
        there = (slice(top, bottom), slice(left, right))
        here = (
            slice(top - self.top, bottom - self.top),
            slice(left - self.left, right - self.left),
        )
        return there, here


def find_regions(torn: BoolArray, view: View, context: float) -> tuple[Region, ...]:
    """The regions of `torn` (H, W), from the top down; none if nothing is torn.

    context: how much of the photograph the model sees around a tear, in parts of the tear's
    long side; where a tear is small it sees more. Tears that are near to one another, or that
    fit into one view in full detail, are one region; each torn pixel belongs to one.
    """
    photo = Extent.of(torn.shape)
    regions = []
    for group in _joined(torn, view, context):
        left, top, right, bottom = group.box
        padding = _padding(group.box, context)
        wanted = Extent(right - left + 2 * padding, bottom - top + 2 * padding)
        extent, seen = _framed(wanted, photo, view)
        x = _placed((left + right) // 2, extent.width, photo.width)
        y = _placed((top + bottom) // 2, extent.height, photo.height)
        own = np.zeros((extent.height, extent.width), bool)
        own[top - y : bottom - y, left - x : right - x] = group.pixels
        regions.append(Region(x, y, own, seen))
    return tuple(sorted(regions, key=lambda region: (region.top, region.left)))


_Box = tuple[int, int, int, int]  # left, top, right, bottom


@dataclass(frozen=True)
class _Group:
    """Torn pixels within a box, which holds no smaller box of them all."""

    box: _Box
    pixels: BoolArray

    def with_(self, other: _Group) -> _Group:
        box = _union(self.box, other.box)
        pixels = np.zeros((box[3] - box[1], box[2] - box[0]), bool)
        for group in (self, other):
            left, top, right, bottom = group.box
            inside = pixels[top - box[1] : bottom - box[1], left - box[0] : right - box[0]]
            inside |= group.pixels
        return _Group(box, pixels)


def _joined(torn: BoolArray, view: View, context: float) -> list[_Group]:
    block = max(min(view.native.width, view.native.height) // _NEAR, 1)
    groups = list(_near(torn, block))
    while len(groups) > MAX_REGIONS:
        block *= 2
        groups = list(_near(torn, block))
    done: list[_Group] = []
    for group in groups:
        for other in tuple(done):
            box = _union(group.box, other.box)
            whole = 2 * _padding(box, context)
            if (
                box[2] - box[0] + whole <= view.native.width
                and box[3] - box[1] + whole <= view.native.height
            ):
                done.remove(other)
                group = group.with_(other)
        done.append(group)
    return done


def _near(torn: BoolArray, block: int) -> Iterator[_Group]:
    """Torn pixels in groups, between which there is more than a block of whole photograph."""
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
        found_rows, found_columns = (np.flatnonzero(here.any(axis=axis)) for axis in (1, 0))
        top, bottom = int(found_rows[0]), int(found_rows[-1]) + 1
        left, right = int(found_columns[0]), int(found_columns[-1]) + 1
        box = (x * block + left, y * block + top, x * block + right, y * block + bottom)
        yield _Group(box, here[top:bottom, left:right])


def _union(one: _Box, other: _Box) -> _Box:
    return (
        min(one[0], other[0]),
        min(one[1], other[1]),
        max(one[2], other[2]),
        max(one[3], other[3]),
    )


def _padding(box: _Box, context: float) -> int:
    return math.ceil(context * max(box[2] - box[0], box[3] - box[1]))


def _framed(wanted: Extent, photo: Extent, view: View) -> tuple[Extent, Extent]:
    """How much of the photograph is cut out, at least `wanted`, and at which size it is seen.

    Never less than the model's own size, so that nothing is enlarged, unless the photograph is
    smaller.
    """
    native = view.native
    if view.fixed:
        aspect = native.width / native.height
        covering = max(photo.width, photo.height * aspect)
        width = min(max(wanted.width, wanted.height * aspect, native.width), covering)
        return Extent(math.ceil(width), math.ceil(width / aspect)), native
    width = min(max(wanted.width, native.width), photo.width)
    height = min(max(wanted.height, native.height), photo.height)
    width, height = max(width, -(-height // _SLENDER)), max(height, -(-width // _SLENDER))
    scale = math.sqrt(native.pixels / (width * height))
    seen = (max(round(side * scale / view.step), 1) * view.step for side in (width, height))
    return Extent(width, height), Extent(*seen)


def _placed(middle: int, length: int, whole: int) -> int:
    """Where a part of a side begins: around `middle`, but within the side if it fits."""
    if length >= whole:
        return (whole - length) // 2
    return min(max(middle - length // 2, 0), whole - length)


def _mirrored(start: int, length: int, whole: int) -> npt.NDArray[np.intp]:
    """Positions from `start` on, those beyond the ends mirrored at them as often as needed."""
    turn = np.arange(start, start + length) % (2 * whole)
    return np.minimum(turn, 2 * whole - 1 - turn)
