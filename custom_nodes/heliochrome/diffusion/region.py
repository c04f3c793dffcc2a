"""Which parts of a photograph are repainted one by one by a model whose view is small."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
import numpy.typing as npt

from ..core.extent import Extent
from .tears import BoolArray, padding, tears_in

if TYPE_CHECKING:
    from .model import DiffusionModel

_Value = TypeVar("_Value", bound=np.generic)

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
        """This part of (H, W, ...), a view of it; mirrored where it reaches beyond."""
        height, width = plane.shape[:2]
        if _within(self.top, self.extent.height, height) and _within(
            self.left, self.extent.width, width
        ):
            there, _ = self.overlap(Extent(width, height))
            return plane[there]
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
    fit into one view in full detail, are one region. One that is longer than that is taken in
    pieces if it is narrow, else as a whole, in less detail. Each torn pixel belongs to one region.
    """
    photo = Extent.of(torn.shape)
    regions = []
    for tear in tears_in(torn, view.native, context):
        left, top, right, bottom = tear.box
        around = 2 * padding(tear.box, context)
        wanted = Extent(right - left + around, bottom - top + around)
        extent, seen = _framed(wanted, photo, view)
        x = _placed((left + right) // 2, extent.width, photo.width)
        y = _placed((top + bottom) // 2, extent.height, photo.height)
        own = np.zeros((extent.height, extent.width), bool)
        own[top - y : bottom - y, left - x : right - x] = tear.pixels
        regions.append(Region(x, y, own, seen))
    return tuple(sorted(regions, key=lambda region: (region.top, region.left)))


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


def _within(start: int, length: int, whole: int) -> bool:
    return start >= 0 and start + length <= whole
