"""What a backend is, and what its module in this folder offers.

Each module `<name>.py` offers `devices() -> tuple[str, ...]` (what its runtime finds here, best
first), `precisions(device) -> tuple[str, ...]` (its default first) and `load(request) -> Backend`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from ..disk import human_bytes, is_writable
from ..errors import BackendUnavailable, OutOfMemory
from ..extent import Extent
from ..lab import FloatArray
from ..memory import free_bytes

AUTO: Final = "auto"  # the backend, device or precision that fits best
DEVICES: Final = (AUTO, "cpu", "cuda")
PRECISIONS: Final = (AUTO, "f32", "bf16", "fp16", "int8")


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

        The result is the caller's own. Raises OutOfMemory, BackendUnavailable (the runtime
        failed).
        """
        ...

    def activation_bytes(self, extent: Extent, batch: int = 1) -> int:
        """Bytes still to be taken for `batch` pictures of `extent`.

        Beside the weights, and beside what is kept from the picture before.
        """
        ...

    def close(self) -> None:
        """Free the network's memory."""
        ...


@dataclass(frozen=True)
class Request:
    """What a backend's `load` is asked for.

    device: "cpu" or "cuda". precision: one of PRECISIONS. sha256: of `weights`; without it an
    export beside them is used unchecked and none is made. cache: folder for what can be made
    again (exports, compiled networks); None keeps nothing.
    """

    weights: Path
    device: str
    precision: str = AUTO
    sha256: str | None = None
    cache: Path | None = None


def agreed_precision(backend: str, device: str, asked: str, able: Sequence[str]) -> str:
    """The precision to use; the first of `able` for "auto". Raises BackendUnavailable."""
    if asked == AUTO:
        return able[0]
    if asked not in able:
        raise BackendUnavailable(
            f"{backend} on {device} cannot compute in {asked} on this machine: "
            f"choose {' or '.join(able)}, or choose auto."
        )
    return asked


def out_of_memory(gray_rgb: FloatArray) -> OutOfMemory:
    """The error of a network that does not fit at the size of this input."""
    height, width = gray_rgb.shape[2:]
    return OutOfMemory(
        f"not enough memory to run the network at {width}x{height}: choose a smaller size, "
        "or close other programs."
    )


def no_room_to_load(weights: Path) -> OutOfMemory:
    """The error of weights that do not fit into memory."""
    return _no_room(f"load {weights.name}")


def require_memory(needed: int, doing: str) -> None:
    """Raise OutOfMemory if so many bytes are not free: Linux would end the process instead."""
    free = free_bytes("cpu", needed)
    if free is not None and free < needed:
        raise _no_room(
            f"{doing} (about {human_bytes(needed)} is needed, {human_bytes(free)} is free)"
        )


def _no_room(doing: str) -> OutOfMemory:
    return OutOfMemory(
        f"not enough memory to {doing}: close other programs, or use the tiny network."
    )


def kept_in(cache: Path | None, name: str) -> str | None:
    """Folder of the cache for what a runtime compiles; None where none can be written."""
    if cache is None or not is_writable(cache / name):
        return None
    return str(cache / name)


def runtime_failed(name: str, error: Exception, line: int = -1) -> BackendUnavailable:
    """The error of a runtime that broke off. line: which one of its message holds the reason."""
    text = (str(error).strip().splitlines() or [type(error).__name__])[line].strip()
    return BackendUnavailable(
        f"{name} failed to run the network ({text[:200]}): choose another backend."
    )


def one_by_one(predict: Callable[[FloatArray], FloatArray], gray_rgb: FloatArray) -> FloatArray:
    """Run a network that takes one picture at a time on (B, 3, H, W) -> (B, 2, H, W)."""
    if len(gray_rgb) == 1:
        return predict(gray_rgb)
    return np.concatenate([predict(gray_rgb[i : i + 1]) for i in range(len(gray_rgb))])
