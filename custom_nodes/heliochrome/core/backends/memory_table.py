"""Memory that running the network takes beside its weights, and that loading it takes.

Running: measured, see benchmarks/results/memory.json. Between the two published networks it is
taken to follow the width of the network, whose square the weights' size follows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from ..extent import Extent

_TINY_BYTES: Final = 220_000_000  # float32 weights
_LARGE_BYTES: Final = 912_000_000


@dataclass(frozen=True)
class _Need:
    """Peak growth: bytes at once, and bytes per input pixel; of the tiny and the large network."""

    at_once: tuple[int, int]
    per_pixel: tuple[int, int]


_MB: Final = 1_000_000
_NEEDS: Final = {
    ("torch", "f32"): _Need((60 * _MB, 310 * _MB), (560, 500)),
    ("onnxruntime", "f32"): _Need((90 * _MB, 90 * _MB), (1000, 1020)),
    # It packs the weights anew for the first picture, beside the ones it read.
    ("openvino", "f32"): _Need((160 * _MB, 520 * _MB), (1000, 1110)),
}
# Peak private memory beyond what the process held before, in bytes per byte of the weights: of the
# tiny and the large network on the machine of memory.json, rounded up. What is mapped from the
# file is not in it, because the kernel can drop that.
_TO_LOAD: Final = {"torch": 1.05, "onnxruntime": 1.65, "openvino": 2.0}
_LOAD_AT_ONCE: Final = 100 * _MB
_TO_EXPORT: Final = 3.0
_EXPORT_AT_ONCE: Final = 200 * _MB
_OTHER: Final = ("onnxruntime", "f32")  # taken for what was not measured


def activation_bytes(name: str, precision: str, f32_bytes: int, extent: Extent) -> int:
    """Bytes beside the weights for one picture. f32_bytes: size of the weights in float32."""
    need = _NEEDS.get((name, precision)) or _NEEDS.get((name, "f32")) or _NEEDS[_OTHER]
    at_once, per_pixel = (
        _between(math.sqrt(f32_bytes), *measured) for measured in (need.at_once, need.per_pixel)
    )
    return round(at_once + per_pixel * extent.pixels)


def load_bytes(name: str, file_bytes: int) -> int:
    """Bytes taken on the processor while weights of `file_bytes` are loaded."""
    return round(file_bytes * _TO_LOAD.get(name, max(_TO_LOAD.values()))) + _LOAD_AT_ONCE


def export_bytes(file_bytes: int) -> int:
    """Bytes taken while a checkpoint of `file_bytes` is exported to ONNX, PyTorch being loaded."""
    return round(file_bytes * _TO_EXPORT) + _EXPORT_AT_ONCE


def _between(width: float, tiny: int, large: int) -> float:
    low, high = math.sqrt(_TINY_BYTES), math.sqrt(_LARGE_BYTES)
    if width <= low:
        return tiny * width / low
    return tiny + (large - tiny) * (width - low) / (high - low)
