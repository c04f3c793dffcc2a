"""The host's masks, one for each picture of a batch."""

from __future__ import annotations

import numpy as np
import torch

from ...core.errors import BadImage
from ...core.extent import Extent
from ..tensors import FloatArray


def masks_for(mask: torch.Tensor, pictures: FloatArray) -> list[FloatArray]:
    """MASK (B, H, W) or (H, W), clipped to [0, 1] -> (H, W) for each of the pictures (B, H, W, 3).

    One mask serves all. An empty one may have any size: the host's own loader gives 64x64 where
    nothing was painted. Raises BadImage: another size or number, or values that are not numbers.
    """
    values = mask.detach().to(device="cpu", dtype=torch.float32).numpy()
    planes = values.reshape(-1, *values.shape[-2:])
    count, extent = len(pictures), Extent.of(pictures.shape[1:])
    if np.isnan(planes).any():
        raise BadImage("mask: expected numbers from 0 to 1, got some that are NaN.")
    planes = np.clip(planes, 0, 1)
    if not planes.any():
        return [np.zeros(pictures.shape[1:3], np.float32)] * count
    if Extent.of(planes.shape[1:]) != extent or len(planes) not in (1, count):
        raise BadImage(
            f"mask: expected {extent} as the picture, one or {count} of them; got {len(planes)} of "
            f"{Extent.of(planes.shape[1:])}. Paint the mask over the picture itself, or scale it."
        )
    return [planes[index % len(planes)] for index in range(count)]
