"""Repaints torn areas of a photograph of any size, and leaves the rest alone, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import cv2
import numpy as np

from ..core.errors import BadImage, BadSetting
from ..core.extent import Extent
from ..core.full_memory import memory_errors
from ..core.jobs import Cancel, never_cancel
from ..core.lab import FloatArray, as_floats, grey, lightness
from ..core.notices import Notice
from ..core.pixels import require_rgb
from ..core.resize import resized
from .region import Region, View, find_regions
from .tears import BoolArray

CONTEXT: Final = 0.5
MAX_CONTEXT: Final = 4.0
FEATHER: Final = 8
MAX_FEATHER: Final = 64

_SPREAD: Final = 8  # pixels to a latent: damage just outside the mask is in the latent as well
_FILL_RADIUS: Final = 3.0
_COARSE: Final = 1.5  # photograph's pixels to a model's, from which on the user is told
_NEUTRAL: Final = 1.5 / 255  # channels that are no more apart make a grey photograph


class Repaint(Protocol):
    def __call__(self, image: FloatArray, mask: FloatArray, index: int, /) -> FloatArray:
        """Repaint `image` (h, w, 3) where `mask` (h, w) is 1: the new (h, w, 3).

        float32 sRGB in [0, 1]; index: which region this is, from 0 on.
        """
        ...


@dataclass(frozen=True)
class Repaired:
    """image: (H, W, 3) float32, a new array. regions: those repainted, in their order."""

    image: FloatArray
    regions: tuple[Region, ...]
    notices: tuple[Notice, ...]


@dataclass(frozen=True)
class Blending:
    """How a repaired part sits in the photograph. Validated: BadSetting.

    context: see `region.find_regions`. feather: pixels, within the mask, over which what
    surrounds it passes into what is painted; less where the mask is so narrow that nothing of that
    would be left.
    """

    context: float = CONTEXT
    feather: int = FEATHER

    def __post_init__(self) -> None:
        for name, value, most in (
            ("context", self.context, MAX_CONTEXT),
            ("feather", self.feather, MAX_FEATHER),
        ):
            # a NaN makes every comparison false
            if isinstance(value, bool) or not 0 <= value <= most:
                raise BadSetting(f"{name} must be a number from 0 to {most}, got {value!r}.")


def torn_regions(
    photo: FloatArray, mask: FloatArray, view: View, blending: Blending = Blending()
) -> tuple[Region, ...]:
    """What `repair` will repaint. photo: (H, W, 3); mask: (H, W) float32 in [0, 1].

    Raises BadImage: another shape, or values that are no picture or no mask.
    """
    require_rgb(photo, "photograph")
    if mask.shape != photo.shape[:2] or mask.dtype != np.float32:
        raise BadImage(
            f"mask: expected float32 of shape {photo.shape[:2]}, as the photograph; "
            f"got shape {mask.shape}, {mask.dtype}."
        )
    if not (mask.min() >= 0 and mask.max() <= 1):
        raise BadImage("mask: expected values from 0 to 1, got values outside or NaN.")
    with memory_errors("find the torn areas"):
        return find_regions(mask > 0, view, blending.context)


def repair(
    photo: FloatArray,
    mask: FloatArray,
    regions: tuple[Region, ...],
    repaint: Repaint,
    blending: Blending = Blending(),
    cancel: Cancel = never_cancel,
) -> Repaired:
    """Repaint the `regions` that `torn_regions` gave for these.

    photo: (H, W, 3) float32 sRGB in [0, 1]; mask: (H, W) float32, between 0 and 1 the new is
    mixed with the old. Pixels where the mask is 0 come out bit-identical. What is repainted in
    a photograph without colour outside the mask is without colour. Raises what `repaint` and
    `cancel` raise.
    """
    with memory_errors("repair the photograph"):
        image = photo.copy()
        torn = mask > 0
        colourless = _is_grey(photo, torn)
        for index, region in enumerate(regions):
            cancel()
            guess, painted = _repainted(region.cut(image), region.cut(torn), region, repaint, index)
            if colourless:
                painted = np.repeat(grey(lightness(painted))[..., None], 3, axis=-1)
            # Of the whole tear, since where a region ends within it is no edge.
            alpha = _alpha(region.cut(mask) > 0, blending.feather)[..., None]
            new = guess + alpha * (painted - guess)
            there, here = region.overlap(Extent.of(image.shape))
            old, own = image[there], region.own[here]
            mixed = old + mask[there][..., None] * (new[here] - old)
            old[own] = mixed[own]
            torn[there] &= ~own
    return Repaired(image, regions, _notices(regions))


def _repainted(
    picture: FloatArray, torn: BoolArray, region: Region, repaint: Repaint, index: int
) -> tuple[FloatArray, FloatArray]:
    """The region's part of the photograph (h, w, 3): as guessed from the surroundings of what is
    torn, and as the model would have it."""
    where = resized(torn.astype(np.float32), region.seen) > 0
    small = resized(picture, region.seen)
    spread = np.ones((2 * _SPREAD + 1, 2 * _SPREAD + 1), np.uint8)
    mask = cv2.dilate(where.astype(np.float32), spread)
    guess = _filled(small, where)
    painted = repaint(guess, mask, index)
    return resized(guess, region.extent), resized(painted, region.extent)


def _is_grey(photo: FloatArray, torn: BoolArray) -> bool:
    """By all that is whole; where nothing is, by the tears."""
    spread = np.ptp(photo, axis=-1)
    return bool(np.max(spread if torn.all() else spread[~torn]) <= _NEUTRAL)


def _filled(picture: FloatArray, torn: BoolArray) -> FloatArray:
    """Damage replaced by what surrounds it. The model starts from it below full strength, and
    its picture passes into it at the edge, so that the damage never shows through."""
    if torn.all():
        return picture
    levels = np.rint(picture * 255).astype(np.uint8)
    guess = cv2.inpaint(levels, torn.astype(np.uint8), _FILL_RADIUS, cv2.INPAINT_TELEA)
    return np.where(torn[..., None], as_floats(guess), picture)


def _alpha(torn: BoolArray, feather: int) -> FloatArray:
    """(h, w) how much of each pixel is new: 0 outside, rising to 1 from the edge inwards."""
    padded = np.pad(torn, 1, mode="edge").astype(np.uint8)  # the region's border is no edge
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    nearby = np.ones((4 * feather + 1, 4 * feather + 1), np.uint8)
    # Half of how deep the mask is nearby is left for what is new in full.
    ramp = np.minimum(feather, cv2.dilate(depth, nearby) / 2)
    alpha: FloatArray = np.minimum(depth / np.maximum(ramp, 1), 1).astype(np.float32)
    return alpha[1:-1, 1:-1]


def _notices(regions: tuple[Region, ...]) -> tuple[Notice, ...]:
    if not regions:
        text = "Nothing is masked, so the photograph is as it was."
        return (Notice("diffusion-nothing-masked", text),)
    coarsest = max(region.scale for region in regions)
    if coarsest <= _COARSE:
        return ()
    scale = f"{coarsest:.1f}"
    text = (
        f"The torn area is large: it was repainted at 1/{scale} of the photograph's resolution. "
        "Repaint it piece by piece to keep fine detail."
    )
    return (Notice("diffusion-region-coarse", text, {"scale": scale}),)
