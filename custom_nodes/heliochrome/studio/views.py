"""Small pictures for the page: browsers show neither TIFF nor 16 bits, and phones are small."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from ..core.disk import whole_file
from ..core.extent import Extent
from ..core.lab import full_scale
from ..core.photo.model import Pixels
from ..core.resize import resized

_LONGEST: Final = 1600
_QUALITY: Final = 88


def first_view(photo: Path) -> bytes | None:
    """A JPEG of the same kind, upright, of a photograph's file, in little memory; None for what
    libvips does not show so. The worker's own replaces it, which fits its result to the pixel."""
    import pyvips

    try:
        small = pyvips.Image.thumbnail(
            str(photo), _LONGEST, height=_LONGEST, size="down", export_profile="srgb"
        )
        flat = small.flatten(background=255) if small.hasalpha() else small
        picture: bytes = flat.jpegsave_buffer(Q=_QUALITY, strip=True)
    except pyvips.Error:
        return None
    return picture


def write_view(path: Path, pixels: Pixels) -> None:
    """(H, W, 3) sRGB uint8 | uint16 -> a JPEG of at most _LONGEST pixels a side. Raises OSError."""
    full = Extent.of(pixels.shape)
    scale = min(1.0, _LONGEST / max(full.width, full.height))
    small = Extent(max(1, round(full.width * scale)), max(1, round(full.height * scale)))
    picture = resized(pixels, small) if small != full else pixels
    step = full_scale(pixels.dtype) // full_scale(np.uint8)
    levels = (picture // step).astype(np.uint8)
    with whole_file(path, overwrite=True) as file:
        Image.fromarray(levels).save(file, "jpeg", quality=_QUALITY)
