"""The photograph at the size of the network, without a full-size plane on the way."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from .extent import Extent
from .jobs import Cancel, never_cancel
from .lab import FloatArray, ImageArray, as_floats, decode_table, readable
from .strips import DEFAULT_PLAN, StripPlan, over_strips


def lightness_at(
    photo: ImageArray,
    network: Extent,
    *,
    cancel: Cancel = never_cancel,
    plan: StripPlan = DEFAULT_PLAN,
) -> FloatArray:
    """CIE L* of `photo` at the network's size.

    photo: (H, W, 3) sRGB uint8 | uint16 | float32 -> (h, w) float32 in [0, 100]. The exact L* is
    averaged over each network pixel's area along a side that shrinks, and interpolated
    linearly along one that grows. Raises OutOfMemory and whatever `cancel` raises.
    """
    from . import kernels

    full = Extent.of(photo.shape)
    pixels, table = readable(photo), decode_table(photo.dtype)
    columns, column_weights = _averaged(full.width, network.width)
    rows, row_weights = _averaged(full.height, network.height)
    small = np.empty((network.height, network.width), np.float32)

    def strip(top: int, bottom: int) -> None:
        kernels.shrink(
            pixels,
            small[top:bottom],
            table,
            rows[top:bottom],
            row_weights[top:bottom],
            columns,
            column_weights,
        )

    # A strip reads as many photograph's rows as make STRIP_PIXELS, however many network rows.
    seen = Extent(max(full.width * full.height // network.height, 1), network.height)
    over_strips(seen, strip, cancel=cancel, plan=plan)
    return small


def _averaged(size_in: int, size_out: int) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """The first input of each output's average, and the weights (size_out, most inputs)."""
    outputs = np.arange(size_out)
    if size_out > size_in:
        at = np.clip((outputs + 0.5) * size_in / size_out - 0.5, 0, size_in - 1)
        first = np.minimum(at.astype(np.int64), max(size_in - 2, 0))
        weights = np.stack((1 - (at - first), at - first), axis=1)
        return first, weights.astype(np.float32)
    # In units of 1 / size_out of an input, so that every edge is a whole number.
    left = outputs * size_in
    first = left // size_out
    most = -(-size_in // size_out) + 1
    edges = (first[:, None] + np.arange(most + 1)) * size_out
    inside = np.clip(edges, left[:, None], left[:, None] + size_in)
    return first, (np.diff(inside) / size_in).astype(np.float32)


def reference_grey(
    photo: ImageArray,
    network: Extent,
    *,
    cancel: Cancel = never_cancel,
    plan: StripPlan = DEFAULT_PLAN,
) -> FloatArray:
    """What the original pipeline shows its network, with OpenCV's own Lab and resizing.

    photo: (H, W, 3) sRGB uint8 | uint16 | float32 -> (h, w) float32 sRGB grey in [0, 1],
    bit for bit what OpenCV gives for the whole picture at once.
    """
    size = (network.width, network.height)
    full = Extent.of(photo.shape)
    if full.height <= 2 * network.height:
        small = cv2.resize(as_floats(photo), size)
    else:
        small = cv2.resize(_narrowed(photo, network.width, cancel, plan), size)
    small_light = cv2.cvtColor(small, cv2.COLOR_RGB2Lab)[..., :1]
    neutral = np.pad(small_light, ((0, 0), (0, 0), (0, 2)))  # L, a = b = 0
    seen: FloatArray = np.ascontiguousarray(cv2.cvtColor(neutral, cv2.COLOR_LAB2RGB)[..., 0])
    return seen


def _narrowed(photo: ImageArray, width: int, cancel: Cancel, plan: StripPlan) -> FloatArray:
    """(H, W, 3) -> (H, width, 3) float32 in [0, 1]: the first half of OpenCV's linear resizing.

    OpenCV rounds a row otherwise when it resizes it alone than with its neighbour. Where each
    output row draws from two rows of its own it takes them in pairs, and so must we.
    """
    narrow = np.empty((len(photo), width, 3), np.float32)

    def strip(top: int, bottom: int) -> None:
        rgb = as_floats(photo[top:bottom])
        for y in range(0, len(rgb), 2):
            pair = rgb[[y, min(y + 1, len(rgb) - 1)]]
            narrow[top + y : min(top + y + 2, bottom)] = cv2.resize(pair, (width, 2))[
                : len(rgb) - y
            ]

    over_strips(Extent.of(photo.shape), strip, cancel=cancel, plan=plan)
    return narrow
