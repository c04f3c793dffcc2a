"""What counts as a picture: checked at every door of the core in the same words."""

from __future__ import annotations

import numpy as np

from .errors import BadImage
from .lab import ImageArray


def require_rgb(image: ImageArray, what: str, *, batches: bool = False) -> None:
    """Raise BadImage unless `image` is (H, W, 3), uint8 | uint16 | float32 and all numbers.

    what: named in the message. batches: (B, H, W, 3) will do as well.
    """
    shapes = "(H, W, 3) or (B, H, W, 3)" if batches else "(H, W, 3)"
    good = image.ndim == 3 or (batches and image.ndim == 4)
    if (
        not good
        or image.shape[-1] != 3
        or image.size == 0
        or image.dtype not in (np.uint8, np.uint16, np.float32)
    ):
        raise BadImage(
            f"{what}: expected RGB pixels of shape {shapes}, uint8, uint16 or float32; "
            f"got shape {image.shape}, {image.dtype}."
        )
    # The least and the greatest of pixels with a NaN are NaN; no plane of flags is made.
    if image.dtype == np.float32 and not np.isfinite((image.min(), image.max())).all():
        raise BadImage(
            f"{what}: expected numbers from 0 to 1, got pixels that are NaN or infinite. "
            "Repair the picture first."
        )
