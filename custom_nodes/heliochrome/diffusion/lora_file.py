"""LoRA files as the runtime must be given them: their own strengths worked into their numbers."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BadWeights
from ..core.lab import FloatArray

_MAX_HEADER: Final = 100_000_000  # bytes; the format's own limit
_KINDS: Final[dict[str, np.dtype[Any]]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
}
# The halves of a layer's change, named as OpenVINO GenAI looks for them.
_HALF: Final = re.compile(r"^(.*?)[_.]lora[_.](A|B|down|up)\.weight$")


@dataclass(frozen=True)
class _Tensor:
    kind: str
    shape: tuple[int, ...]
    data: memoryview

    def floats(self) -> FloatArray:
        numbers = np.frombuffer(self.data, _KINDS[self.kind]).reshape(self.shape)
        if self.kind == "BF16":  # the upper half of a float32
            numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
        wide: FloatArray = numbers.astype(np.float32)
        return wide


def scaled_lora(path: Path, alpha: float) -> NDArray[np.uint8]:
    """A LoRA file's bytes with each layer's second half times `alpha` and its own strength.

    That is alpha / rank, where the file gives an alpha: OpenVINO GenAI leaves it out in silence,
    and the usual file then counts many times too much. Raises BadWeights.
    """
    tensors = _read(path)
    halves = {name: found for name in tensors if (found := _HALF.match(name))}
    if not halves:
        raise BadWeights(
            f"{path} is no LoRA: none of its {len(tensors)} tensors is named as one "
            "(...lora_down.weight, ...lora_A.weight). Choose another file."
        )
    if any(name.endswith("dora_scale") for name in tensors):
        raise BadWeights(f"{path} is a DoRA, which OpenVINO GenAI cannot use: choose a LoRA.")
    scaled: dict[str, FloatArray] = {}
    for name, found in halves.items():
        numbers = tensors[name].floats()
        if not np.isfinite(numbers).all():
            raise BadWeights(f"{path} holds values that are not numbers in {name}: get it again.")
        if found[2] in ("B", "up") and numbers.ndim > 1:
            own = tensors.get(f"{found[1]}.alpha")
            rank = numbers.shape[1]
            numbers *= alpha * (1.0 if own is None else float(own.floats().max()) / rank)
        scaled[name] = numbers
    return _written(scaled)


def _read(path: Path) -> Mapping[str, _Tensor]:
    """A .safetensors file: the header's length in 8 bytes, the header in JSON, the numbers."""
    try:
        content = memoryview(path.read_bytes())
        (length,) = struct.unpack("<Q", content[:8])
        if length > min(_MAX_HEADER, len(content) - 8):
            raise ValueError("its header does not end within the file")
        header = json.loads(bytes(content[8 : 8 + length]))
        return {
            name: _tensor(name, about, content[8 + length :])
            for name, about in header.items()
            if name != "__metadata__"
        }
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        struct.error,
    ) as error:
        raise BadWeights(
            f"{path} is not a readable .safetensors file ({error}): get the file again."
        ) from error


def _tensor(name: str, about: Mapping[str, Any], numbers: memoryview) -> _Tensor:
    kind, shape, places = about["dtype"], about["shape"], about["data_offsets"]
    if kind not in _KINDS:
        raise ValueError(f"{name} is of kind {kind}, and only {', '.join(_KINDS)} can be used")
    start, end = places
    sizes = tuple(int(size) for size in shape)
    wanted = math.prod(sizes) * _KINDS[kind].itemsize
    if min(sizes, default=1) < 1 or not 0 <= start <= end <= len(numbers) or end - start != wanted:
        raise ValueError(f"the numbers of {name} are not all there")
    return _Tensor(kind, sizes, numbers[start:end])


def _written(tensors: Mapping[str, FloatArray]) -> NDArray[np.uint8]:
    header, place = {}, 0
    for name, numbers in tensors.items():
        end = place + numbers.nbytes
        header[name] = {"dtype": "F32", "shape": numbers.shape, "data_offsets": (place, end)}
        place = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    parts = [struct.pack("<Q", len(text)), text, *(one.tobytes() for one in tensors.values())]
    return np.frombuffer(b"".join(parts), np.uint8).copy()
