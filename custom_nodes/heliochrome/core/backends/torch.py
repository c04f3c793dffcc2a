"""PyTorch: folded network, channels_last, inference mode. Opened by `open_backend` only."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch

from ...arch import FoldedDDColor
from ..errors import BackendUnavailable
from ..extent import Extent
from ..lab import FloatArray
from ..weights import load_network
from .base import AUTO, out_of_memory

# Growth of the peak per input pixel from 512 to 1024, tiny network on CPU
# (benchmarks/results/colorize.md); wider networks are taken to need as much more.
_BYTES_PER_PIXEL: Final = 620


class TorchBackend:
    """See `base.Backend`. float32 on every device."""

    name = "torch"
    precision = "f32"
    source_sha256 = None

    def __init__(self, net: FoldedDDColor, device: str) -> None:
        self.device = device
        self._dims = net.config.dims
        self._net = net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.weight_bytes = sum(t.nbytes for t in net.state_dict().values())

    def predict_ab(self, gray_rgb: FloatArray) -> FloatArray:
        try:
            with torch.inference_mode():
                image = torch.from_numpy(gray_rgb).to(self.device)
                ab = self._net(image.contiguous(memory_format=torch.channels_last))
                found: FloatArray = ab.float().cpu().numpy()
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            raise out_of_memory(gray_rgb) from error
        return found

    def activation_bytes(self, extent: Extent, batch: int = 1) -> int:
        return batch * extent.pixels * _BYTES_PER_PIXEL * self._dims[0] // 96

    def close(self) -> None:
        self._net.to("meta")


def load(weights: Path, device: str) -> TorchBackend:
    """Raises BadWeights, BackendUnavailable."""
    if device == AUTO:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise BackendUnavailable(
            "device cuda was asked for, but PyTorch finds no usable NVIDIA GPU on this machine: "
            "choose the device cpu, or install the driver and a CUDA build of PyTorch."
        )
    return TorchBackend(FoldedDDColor(load_network(weights)), device)


def _is_out_of_memory(error: Exception) -> bool:
    """PyTorch reports a full CPU as a plain RuntimeError."""
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or "can't allocate memory" in str(error)
