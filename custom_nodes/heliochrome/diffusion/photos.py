"""Between photographs as files hold them and pictures as the engine takes them."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from ..core.lab import FloatArray, as_floats
from ..core.photo import Photo
from ..core.photo.encode import flattened
from ..core.photo.model import Pixels

_NEARLY: Final = 8 / 255  # to black or white


def colours(photo: Photo) -> FloatArray:
    """(H, W, 3) float32 sRGB in [0, 1]; what is transparent is white."""
    pixels = photo.pixels
    if photo.alpha is not None:
        pixels = flattened(pixels, photo.alpha)
    return as_floats(pixels)


def mask_of(photo: Photo) -> FloatArray:
    """(H, W) float32 in [0, 1]: white is 1, repaint. What is transparent is kept.

    What is nearly black is black, and what is nearly white is white: a JPEG's often is.
    """
    light = cv2.cvtColor(as_floats(photo.pixels), cv2.COLOR_RGB2GRAY)
    if photo.alpha is not None:
        light = light * as_floats(photo.alpha)
    sure = np.where(light < _NEARLY, 0, np.where(light > 1 - _NEARLY, 1, light))
    return np.asarray(sure, np.float32)


def as_photo(image: FloatArray) -> Photo:
    """A picture (H, W, 3) in [0, 1] as an 8-bit photograph that no file holds yet."""
    return Photo(levels(image, np.dtype(np.uint8)), "png", 8)


def repainted(photo: Photo, mask: FloatArray, image: FloatArray) -> Pixels:
    """`image` (H, W, 3) as pixels of the photograph's type; where the mask is 0 its own pixels."""
    return np.where(mask[..., None] > 0, levels(image, photo.pixels.dtype), photo.pixels)


def levels(image: FloatArray, kind: np.dtype[np.uint8 | np.uint16]) -> Pixels:
    """[0, 1] to the whole range of an integer type."""
    most = np.float32(np.iinfo(kind).max)
    found: Pixels = np.rint(np.clip(image, 0, 1) * most).astype(kind)
    return found
