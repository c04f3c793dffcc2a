"""Colours that the user painted, spread over what they were painted on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from .edge_aware import distances, smooth_globally
from .errors import BadImage
from .extent import Extent
from .lab import FloatArray, ImageArray, as_floats
from .pixels import require_rgb
from .resize import resized

_REACH: Final = 0.3  # of the long side: how far a colour spreads on even ground
_EDGE: Final = 12.0  # L* difference that stops a colour as the whole reach does
_DETAIL: Final = 0.006  # of the long side: texture that is smaller than this
_FAINT: Final = 10.0  # and fainter than this L* is no edge
_WINDOW: Final = 9  # pixels of the filter that removes it
_BLEND: Final = 0.04  # of the long side: how softly two colours meet
_FLOW: Final = 3.0  # L* step that divides the flow of colour by e
_ABOVE_ZERO: Final = np.float32(128)  # no sRGB colour has a* or b* below its negative
_PAINTED: Final = 0.02  # coverage below which nothing counts as painted
_OVERSAMPLED: Final = 2  # samples of a painting per network pixel, each way


@dataclass(frozen=True, eq=False)
class Hints:
    """Colours over a photograph. Raises BadImage.

    color: (H, W, 3) sRGB, uint8 | uint16 | float32 in [0, 1], only its hue and chroma
    count; mask: (H, W) float32 in [0, 1], 1 where it was painted. Any H and W: they
    are taken over the whole photograph. Grey paint takes colour away.
    """

    color: ImageArray
    mask: FloatArray

    def __post_init__(self) -> None:
        color, mask = self.color, self.mask
        require_rgb(color, "hints")
        if mask.shape != color.shape[:2] or mask.dtype != np.float32:
            raise BadImage(
                f"hints: expected a float32 mask of shape {color.shape[:2]}, as the colours; "
                f"got shape {mask.shape}, {mask.dtype}."
            )
        # a NaN makes every comparison false
        if not (mask.min() >= 0 and mask.max() <= 1):
            raise BadImage("hints: expected a mask from 0 to 1, got values outside or NaN.")


def apply_hints(ab: FloatArray, light: FloatArray, hints: Hints) -> FloatArray:
    """Painted colours where they were painted, spreading to the nearest edges.

    ab: (h, w, 2) float32 CIE a*b*; light: (h, w) float32 L* in [0, 100]. Returns new ab. Where
    nothing is painted it is unchanged; it fades from the paint over 3/10 of the long
    side, and an L* step of 12 counts as all of that. A brush narrower than a pixel of the
    network counts only as far as it covers that pixel.
    """
    extent = Extent.of(light.shape)
    long_side = max(extent.width, extent.height)
    painted, mask = _at(hints, extent)  # (h, w, 2) ab times mask, (h, w)
    if mask.max() < _PAINTED:
        return ab.copy()
    even = cv2.bilateralFilter(light, _WINDOW, _FAINT, _DETAIL * long_side)
    # shading and grain, which most neighbours have, are no edges either
    slack = 1.5 * float(np.median(np.abs(np.diff(even, axis=1))))
    reach = _REACH * long_side
    start = np.where(mask >= _PAINTED, (1 - mask) * np.float32(reach), np.float32(np.inf))
    way = distances(start, even, reach / _EDGE, slack) / np.float32(reach)
    near = 1 - np.minimum(way, np.float32(1))
    influence = (near * near * (3 - 2 * near))[..., None]
    spread = _spread(painted, mask, even, _BLEND * long_side)
    color = painted + (1 - mask)[..., None] * spread
    mixed: FloatArray = ab + influence * (color - ab)
    return mixed


def _at(hints: Hints, extent: Extent) -> tuple[FloatArray, FloatArray]:
    """The painting at the network's size: a*b* times mask (h, w, 2), mask (h, w)."""
    height, width = hints.mask.shape
    step = max(1, min(height // extent.height, width // extent.width) // _OVERSAMPLED)
    mask = np.ascontiguousarray(hints.mask[::step, ::step])
    rgb = np.clip(as_floats(hints.color[::step, ::step]), 0, 1)
    # OpenCV's Lab is good enough: a painted colour is not measured
    ab = cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab)[..., 1:]
    planes = np.dstack((ab * mask[..., None], mask))
    small = resized(planes, extent)
    return small[..., :2], np.clip(small[..., 2], 0, 1)


def _spread(painted: FloatArray, mask: FloatArray, light: FloatArray, length: float) -> FloatArray:
    """(h, w, 2) the painted colours mixed by how near they are, edges considered."""
    # Moved above 0, all sums have positive terms only: the ratio is exact far away too.
    planes = np.dstack((painted + mask[..., None] * _ABOVE_ZERO, mask))
    total = smooth_globally(planes, light, length, _FLOW)
    weight = np.maximum(total[..., 2:], np.finfo(np.float32).tiny)
    spread: FloatArray = np.subtract(total[..., :2] / weight, _ABOVE_ZERO)
    return spread
