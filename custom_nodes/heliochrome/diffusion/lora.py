"""LoRA files: small changes to a model's weights, applied when it is opened."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..core.errors import BadSetting, BadWeights, ModelNotFound

MAX_ALPHA: Final = 4.0
_MAX_HEADER: Final = 100_000_000  # bytes; the format's own limit
# How kohya's and diffusers' tools begin the names of a LoRA's tensors.
_PREFIXES: Final = ("lora_unet_", "lora_te", "unet.", "text_encoder", "transformer.")


@dataclass(frozen=True)
class Lora:
    """path: a .safetensors file. alpha: how strongly it counts, in [-MAX_ALPHA, MAX_ALPHA]."""

    path: Path
    alpha: float = 1.0

    def __post_init__(self) -> None:
        number = isinstance(self.alpha, int | float) and not isinstance(self.alpha, bool)
        if not number or not -MAX_ALPHA <= self.alpha <= MAX_ALPHA or math.isnan(self.alpha):
            raise BadSetting(
                f"alpha of a LoRA must be a number from {-MAX_ALPHA:g} to {MAX_ALPHA:g}, "
                f"got {self.alpha!r}."
            )


def require_lora(lora: Lora) -> None:
    """Raise ModelNotFound, BadWeights unless the file is a LoRA for Stable Diffusion.

    OpenVINO GenAI ends the process or applies nothing, in silence, for some that are not.
    """
    path = lora.path
    if not path.is_file():
        raise ModelNotFound(f"there is no LoRA file {path}: give the path of a .safetensors file.")
    names = _tensor_names(path)
    ours = [name for name in names if name.startswith(_PREFIXES)]
    if not any("lora" in name for name in ours):
        raise BadWeights(
            f"{path} is no LoRA for Stable Diffusion: none of its {len(names)} tensors is named "
            "as one (lora_unet_..., lora_te_..., unet...lora_A). Choose another file."
        )


def adapter_config(loras: Sequence[Lora]) -> Any:
    """An `openvino_genai.AdapterConfig` of these files; None if there are none.

    Raises what `require_lora` raises, and RuntimeError for what OpenVINO GenAI cannot read.
    """
    import openvino_genai

    if not loras:
        return None
    config = openvino_genai.AdapterConfig()
    for lora in loras:
        require_lora(lora)
        config.add(openvino_genai.Adapter(lora.path), float(lora.alpha))
    return config


def _tensor_names(path: Path) -> list[str]:
    """Names in a .safetensors file's header: its length in 8 bytes, then JSON."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(_MAX_HEADER, path.stat().st_size - 8):
                raise ValueError("its header does not end within the file")
            header = json.loads(file.read(length))
        end = max((one["data_offsets"][1] for name, one in header.items() if _is_tensor(name)))
        if end > path.stat().st_size - 8 - length:
            raise ValueError("its end is missing")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise BadWeights(
            f"{path} is not a readable .safetensors file ({error}): get the file again."
        ) from error
    return [name for name in header if _is_tensor(name)]


def _is_tensor(name: str) -> bool:
    return name != "__metadata__"
