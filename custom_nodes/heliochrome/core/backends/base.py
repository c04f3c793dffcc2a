"""What a backend is, and how one is chosen."""

from __future__ import annotations

import logging
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Protocol

from ..errors import BackendUnavailable, BadSetting, OutOfMemory
from ..extent import Extent
from ..lab import FloatArray
from ..weights_file import ONNX_SUFFIX

_log = logging.getLogger("heliochrome")

# name -> the distribution that must be installed; the order is the preference of "auto"
BACKENDS: Final = {"torch": "torch", "onnxruntime": "onnxruntime"}
AUTO: Final = "auto"  # the backend or device that fits best
DEVICES: Final = (AUTO, "cpu", "cuda")


class Backend(Protocol):
    """One loaded network on one device."""

    name: str
    device: str
    precision: str  # "f32", "bf16", "fp16" or "int8"
    weight_bytes: int
    # SHA-256 of the checkpoint that the network was exported from; None if it is not an export.
    source_sha256: str | None

    def predict_ab(self, gray_rgb: FloatArray) -> FloatArray:
        """(B, 3, H, W) float32 sRGB grey in [0, 1], H and W multiples of 32 -> (B, 2, H, W) a*b*.

        Raises OutOfMemory.
        """
        ...

    def activation_bytes(self, extent: Extent, batch: int = 1) -> int:
        """Bytes needed beside the weights for `batch` pictures of `extent`."""
        ...

    def close(self) -> None:
        """Free the network's memory."""
        ...


def out_of_memory(gray_rgb: FloatArray) -> OutOfMemory:
    """The error of a network that does not fit at the size of this input."""
    height, width = gray_rgb.shape[2:]
    return OutOfMemory(
        f"not enough memory to run the network at {width}x{height}: choose a smaller size, "
        "or close other programs."
    )


def usable_backends() -> list[str]:
    """Backends whose runtime is installed, best first; imports none of them."""
    return [name for name, module in BACKENDS.items() if find_spec(module)]


def open_backend(weights: Path, backend: str = AUTO, device: str = AUTO) -> Backend:
    """Load a checkpoint (or an exported .onnx) into a runtime.

    backend: "auto" or a name in BACKENDS; device: one of DEVICES. Raises BadSetting,
    BackendUnavailable (with what to install) and BadWeights.
    """
    if device not in DEVICES:
        raise BadSetting(f"device must be one of {', '.join(DEVICES)}, got {device!r}.")
    if backend == AUTO:
        backend = _choose(weights)
        _log.info("backend: %s (chosen automatically)", backend)
    if backend not in BACKENDS:
        raise BadSetting(f"backend must be auto or one of {', '.join(BACKENDS)}, got {backend!r}.")
    if backend not in usable_backends():
        raise BackendUnavailable(
            f"the {backend} backend is not installed: run `{install_command(backend)}`, "
            "or choose another backend."
        )
    loader = import_module(f".{backend}", __package__)
    opened: Backend = loader.load(weights, device)
    return opened


def _choose(weights: Path) -> str:
    if weights.suffix == ONNX_SUFFIX:
        return "onnxruntime"
    usable = usable_backends()
    if not usable:
        raise BackendUnavailable(
            "no runtime is installed: expected PyTorch or ONNX Runtime. "
            f"Run `{install_command('torch')}`."
        )
    return usable[0]


def install_command(backend: str) -> str:
    """The command that installs a backend's runtime."""
    package = '"heliochrome[torch]"' if backend == "torch" else backend
    return f"pip install {package}"
