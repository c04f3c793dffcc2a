"""Between our pictures (float32, [0, 1]) and OpenVINO GenAI's (uint8, one batch of NHWC)."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.extent import Extent
from ..core.full_memory import memory_errors
from ..core.lab import FloatArray
from ..core.resize import resized
from .settle import Settled

_REPAINT: Final = 0.5  # a mask's value from which on a pixel is repainted


def inputs(settled: Settled) -> tuple[NDArray[np.uint8], ...]:
    """The picture and the mask that go in, if there are any. Raises OutOfMemory."""
    request, extent = settled.request, settled.extent
    found = []
    with memory_errors("resize the picture"):
        if request.image is not None:
            found.append(to_runtime(request.image, extent))
        if request.mask is not None:
            found.append(mask_to_runtime(request.mask, extent))
    return tuple(found)


def to_runtime(image: FloatArray, extent: Extent) -> NDArray[np.uint8]:
    """(H, W, 3) sRGB in [0, 1], of any size -> (1, h, w, 3) at `extent`."""
    fitting = np.clip(resized(image, extent), 0, 1)
    return np.rint(fitting * 255).astype(np.uint8)[None]


def mask_to_runtime(mask: FloatArray, extent: Extent) -> NDArray[np.uint8]:
    """(H, W) in [0, 1], of any size -> (1, h, w, 1) at `extent`: 255 where to repaint, else 0."""
    size = (extent.width, extent.height)
    nearest = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT)
    return np.where(nearest >= _REPAINT, np.uint8(255), np.uint8(0))[None, :, :, None]


def from_runtime(tensor: Any) -> FloatArray:
    """A result tensor of one picture -> (H, W, 3) in [0, 1], the caller's own.

    The tensor belongs to the model's request, and the next picture is written over it.
    """
    found: FloatArray = np.array(tensor.data[0], np.float32) / np.float32(255)
    return found
