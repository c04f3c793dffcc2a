"""Between the host's IMAGE tensors and the core's NumPy arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import comfy.model_management
import numpy as np
import numpy.typing as npt
import torch

from ..core.errors import BadImage
from ..core.notices import Notice

FloatArray = npt.NDArray[np.float32]

_UNSEEN: Final = 0.5 / 255  # half an 8-bit level
_CLIPPED: Final = Notice(
    "values-clipped",
    "Pixel values outside 0 to 1 were clipped; those that are not numbers became 0.",
)


@dataclass(frozen=True)
class Pictures:
    """A batch on the way through the core.

    color: (B, H, W, 3) float32 in [0, 1], sRGB-encoded RGB.
    alpha: (B, H, W, 1) float32 in [0, 1], or None when the IMAGE had no alpha.
    notices: what had to be changed to get there.
    """

    color: FloatArray
    alpha: FloatArray | None
    notices: tuple[Notice, ...] = ()


def from_image(image: torch.Tensor) -> Pictures:
    """Read an IMAGE: (B, H, W, C) with C = 1 (grey), 3 (RGB) or 4 (RGB and alpha), in [0, 1].

    Values outside the range, which upscalers produce, are clipped; NaN becomes 0. A notice
    says so unless nobody could see the difference. Raises BadImage for any other shape.
    """
    if image.ndim != 4 or image.shape[-1] not in (1, 3, 4) or 0 in image.shape:
        raise BadImage(
            "Expected an IMAGE of shape (batch, height, width, 1, 3 or 4), but got "
            f"{tuple(image.shape)}. Connect the output of a node that gives pictures."
        )
    values = image.detach().to(device="cpu", dtype=torch.float32)
    notices = () if _in_range(values) else (_CLIPPED,)
    pixels: FloatArray = values.nan_to_num(0.0).clamp(0.0, 1.0).numpy()
    if pixels.shape[-1] == 1:
        return Pictures(np.repeat(pixels, 3, axis=-1), None, notices)
    if pixels.shape[-1] == 4:
        return Pictures(np.ascontiguousarray(pixels[..., :3]), pixels[..., 3:], notices)
    return Pictures(pixels, None, notices)


def _in_range(values: torch.Tensor) -> bool:
    low, high = values.aminmax()  # both NaN if there is one, and NaN compares as False
    return bool(low >= -_UNSEEN and high <= 1.0 + _UNSEEN)


def to_image(pictures: Pictures) -> torch.Tensor:
    """The IMAGE of a batch, with its alpha if it had one, where the host wants it."""
    color, alpha = pictures.color, pictures.alpha
    return _for_host(color if alpha is None else np.concatenate([color, alpha], axis=-1))


def to_bytes(pictures: Pictures) -> npt.NDArray[np.uint8]:
    """(B, H, W, 3 or 4) uint8, rounded, so that an untouched 8-bit level comes out the same."""
    color, alpha = pictures.color, pictures.alpha
    values = color if alpha is None else np.concatenate([color, alpha], axis=-1)
    rounded: npt.NDArray[np.uint8] = np.rint(values * 255.0).astype(np.uint8)
    return rounded


def to_mask(values: FloatArray) -> torch.Tensor:
    """The MASK (B, H, W) of float32 values in [0, 1]."""
    return _for_host(values)


def _for_host(values: FloatArray) -> torch.Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    return tensor.to(comfy.model_management.intermediate_device())
