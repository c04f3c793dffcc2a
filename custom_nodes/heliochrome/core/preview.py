"""A warm-tone picture for those who have no model yet. It is not colourisation and says so."""

from __future__ import annotations

from typing import Final

import numpy as np

from .extent import Extent
from .jobs import Cancel, Progress, never_cancel, no_progress
from .lab import FloatArray, ImageArray, lab_to_srgb, lightness, quantize
from .strips import over_strips

PREVIEW_LABEL: Final = "preview, not colourisation"
PREVIEW_SUFFIX: Final = ".preview"

# A sepia print's a*b*, strongest in the middle tones and none in black and white.
_TONE: Final = np.array([6.0, 16.0], np.float32)


def warm_tone(
    image: ImageArray,
    progress: Progress = no_progress,
    cancel: Cancel = never_cancel,
    out: ImageArray | None = None,
) -> ImageArray:
    """(..., H, W, 3) sRGB uint8 | uint16 | float32 -> the same, toned like sepia, L* kept.

    out: where it goes, contiguous; it may be `image` itself.
    """
    toned = np.empty(image.shape, image.dtype) if out is None else out
    flat_in, flat_out = image.reshape(-1, *image.shape[-2:]), toned.reshape(-1, *image.shape[-2:])

    def strip(top: int, bottom: int) -> None:
        light = lightness(flat_in[top:bottom])
        amount = np.float32(4e-4) * light * (100 - light)
        ab: FloatArray = amount[..., None] * _TONE
        flat_out[top:bottom] = quantize(lab_to_srgb(light, ab), image.dtype)

    over_strips(Extent.of(flat_in.shape), strip, cancel=cancel, progress=progress)
    return toned
