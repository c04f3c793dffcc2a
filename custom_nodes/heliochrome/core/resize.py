"""Small planes at another size: one rule for all of them."""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from .extent import Extent

_Pixel = TypeVar("_Pixel", bound=np.generic)


def resized(picture: npt.NDArray[_Pixel], extent: Extent) -> npt.NDArray[_Pixel]:
    """`picture` at `extent`: averaged over areas where no side grows, else linear.

    (h, w) or (h, w, c), uint8 | uint16 | float32, any range and colour space -> the same with
    other h and w. It is `picture` itself where that has this size already.
    """
    own = Extent.of(picture.shape)
    if own == extent:
        return picture
    shrinks = own.width >= extent.width and own.height >= extent.height
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    found: npt.NDArray[_Pixel] = cv2.resize(
        picture, (extent.width, extent.height), interpolation=how
    )
    return found.reshape(extent.height, extent.width, *picture.shape[2:])  # OpenCV drops c = 1
