"""A rough picture of what is being made, from its latents alone."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..core.lab import FloatArray

# The four latents of Stable Diffusion 1 and 2 as red, green and blue in [-1, 1]: a linear fit by
# "Keturn", https://discuss.huggingface.co/t/decoding-latents-to-rgb-without-upscaling/23204
_TO_RGB: Final = (
    (0.298, 0.207, 0.208),
    (0.187, 0.286, 0.173),
    (-0.158, 0.189, 0.264),
    (-0.184, -0.271, -0.473),
)


def latent_preview(latents: FloatArray) -> NDArray[np.uint8]:
    """(4, h, w) latents of Stable Diffusion 1 or 2 -> (h, w, 3) sRGB, an eighth of the size."""
    rgb = np.tensordot(latents, np.array(_TO_RGB, np.float32), axes=(0, 0))
    seen: NDArray[np.uint8] = np.rint((np.clip(rgb, -1, 1) + 1) * 127.5).astype(np.uint8)
    return seen
