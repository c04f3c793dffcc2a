"""The photograph and its result in one picture."""

from __future__ import annotations

from typing import Final

import numpy as np

from .errors import BadImage
from .extent import Extent
from .lab import ImageArray, full_scale
from .pixels import require_rgb

_STACKED: Final = 16 / 9  # wider pictures than a screen go one above the other
_GAP: Final = 1 / 200  # of the long side of one picture
_LEAST_GAP: Final = 2  # pixels


def side_by_side(before: ImageArray, after: ImageArray) -> ImageArray:
    """Before left and after right, or above and below for wide pictures.

    before, after: both (H, W, 3) or both (B, H, W, 3) sRGB of one shape and dtype,
    uint8 | uint16 | float32 in [0, 1]. Returns one picture for each pair, same dtype, every
    pixel unchanged, with a mid-grey gap between the two. Raises BadImage.
    """
    require_rgb(before, "before", batches=True)
    require_rgb(after, "after", batches=True)
    if before.shape != after.shape or before.dtype != after.dtype:
        raise BadImage(
            "before and after: expected two pictures of one size and depth; got "
            f"{before.shape} {before.dtype} and {after.shape} {after.dtype}. Resize one of them."
        )
    one = Extent.of(before.shape[-3:])
    axis = before.ndim - 3 if one.width > _STACKED * one.height else before.ndim - 2
    shape = list(before.shape)
    shape[axis] = max(_LEAST_GAP, round(max(one.width, one.height) * _GAP))
    scale = full_scale(before.dtype)
    grey = scale / 2 if before.dtype == np.float32 else scale // 2
    gap = np.full(shape, grey, before.dtype)
    return np.concatenate((before, gap, after), axis=axis)
