"""PyTorch: folded network, channels_last, inference mode. Opened by `open_backend` only."""

from __future__ import annotations

from typing import Final

import torch

from ...arch import FoldedDDColor
from ..errors import BackendUnavailable, BadWeights
from ..extent import Extent
from ..full_memory import says_out_of_memory
from ..lab import FloatArray
from ..weights import load_network
from .base import (
    Request,
    agreed_precision,
    no_room_to_load,
    out_of_memory,
    runtime_failed,
)
from .cuda_graphs import GraphedNetwork
from .memory_table import activation_bytes

_NO_KERNEL: Final = "could not create a primitive"  # oneDNN's, which has no room for a kernel
_REASON: Final = 0  # line of PyTorch's messages; the last ones of CUDA's are general advice


class TorchBackend:
    """See `base.Backend`. In bf16 the weights stay float32 and PyTorch casts what gains by it."""

    name = "torch"
    source_sha256 = None

    def __init__(self, net: FoldedDDColor, device: str, precision: str) -> None:
        self.device = device
        self.precision = precision
        self._net = net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.weight_bytes = sum(t.nbytes for t in net.state_dict().values())
        self._graphed = GraphedNetwork(self._net) if device == "cuda" else None

    def predict_ab(self, gray_rgb: FloatArray) -> FloatArray:
        try:
            with (
                torch.inference_mode(),
                torch.autocast(
                    self.device,
                    torch.bfloat16,
                    enabled=self.precision == "bf16",
                    cache_enabled=False,  # a cast that a CUDA graph recorded must not be kept
                ),
            ):
                image = torch.from_numpy(gray_rgb).to(self.device)
                image = image.contiguous(memory_format=torch.channels_last)
                ab = (self._graphed or self._net)(image)  # (B, 2, H, W)
                found: FloatArray = ab.float().cpu().numpy()
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise runtime_failed("PyTorch", error, _REASON) from error
            failure = out_of_memory(gray_rgb)
            failure.__cause__ = error.with_traceback(None)  # its frames hold the activations
        else:
            return found
        if self._graphed is not None:
            self._graphed.clear()
        raise failure

    def activation_bytes(self, extent: Extent, batch: int = 1) -> int:
        return batch * activation_bytes(self.name, self.precision, self.weight_bytes, extent)

    def close(self) -> None:
        if self._graphed is not None:
            self._graphed.clear()
        self._net.to("meta")
        if self.device == "cuda":
            torch.cuda.empty_cache()


def devices() -> tuple[str, ...]:
    return ("cuda", "cpu") if torch.cuda.is_available() else ("cpu",)


def precisions(device: str) -> tuple[str, ...]:
    """On a GPU that computes in bf16 that is the default; on the processor it must be asked for.

    A processor or GPU that would only emulate bf16 does not get it.
    """
    if device == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
        return ("bf16", "f32") if fast else ("f32",)
    return ("f32", "bf16") if torch.cpu._is_avx512_bf16_supported() else ("f32",)


def load(request: Request) -> TorchBackend:
    """Raises BadWeights, BackendUnavailable, OutOfMemory."""
    device = request.device
    if device == "cuda" and not torch.cuda.is_available():
        raise BackendUnavailable(
            "device cuda was asked for, but PyTorch finds no usable NVIDIA GPU on this machine: "
            "choose the device cpu, or install the driver and a CUDA build of PyTorch."
        )
    precision = agreed_precision("torch", device, request.precision, precisions(device))
    try:
        return TorchBackend(FoldedDDColor(load_network(request.weights)), device, precision)
    except (MemoryError, RuntimeError, BadWeights) as error:
        # A checkpoint that cannot be mapped into memory reads like a damaged one.
        if any(e is not None and _is_out_of_memory(e) for e in (error, error.__cause__)):
            raise no_room_to_load(request.weights) from error
        if isinstance(error, RuntimeError):
            raise runtime_failed("PyTorch", error, _REASON) from error
        raise


def _is_out_of_memory(error: BaseException) -> bool:
    """PyTorch reports a full CPU as a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError) or says_out_of_memory(error, _NO_KERNEL)
