"""The photograph at the size of the network, without a full-size plane on the way."""

from __future__ import annotations

import cv2
import numpy as np

from .extent import Extent
from .jobs import Cancel, never_cancel
from .lab import FloatArray, ImageArray, full_scale, lightness
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
    light = np.empty(photo.shape[:2], np.float32)

    def read(top: int, bottom: int) -> None:
        light[top:bottom] = lightness(photo[top:bottom])

    full = Extent.of(photo.shape)
    over_strips(full, read, cancel=cancel, plan=plan)
    size = (network.width, network.height)
    shrinks = full.width >= size[0] and full.height >= size[1]
    small: FloatArray = cv2.resize(
        light, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    return small


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
    rgb = photo.astype(np.float32) / np.float32(full_scale(photo.dtype))
    small = cv2.resize(rgb, (network.width, network.height))
    small_light = cv2.cvtColor(small, cv2.COLOR_RGB2Lab)[..., :1]
    neutral = np.pad(small_light, ((0, 0), (0, 0), (0, 2)))  # L, a = b = 0
    seen: FloatArray = np.ascontiguousarray(cv2.cvtColor(neutral, cv2.COLOR_LAB2RGB)[..., 0])
    return seen
