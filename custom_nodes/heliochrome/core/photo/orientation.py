"""EXIF orientation: turning and mirroring pixels so that they are upright (EXIF 3.0, 4.6.4)."""

from __future__ import annotations

import numpy as np

from .model import Pixels


def is_turned(orientation: int) -> bool:
    """Whether width and height change places."""
    return orientation >= 5


def apply(pixels: Pixels, orientation: int) -> Pixels:
    """(H, W) or (H, W, C) as it is to be seen, C-contiguous; the same array for orientation 1."""
    if is_turned(orientation):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
