"""LoRA: small changes to a model's weights, applied when it is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..core.disk import hash_file
from ..core.errors import BadSetting, BadWeights, ModelNotFound
from ..core.jobs import Cancel
from .lora_file import scaled_lora

MAX_ALPHA: Final = 4.0


@dataclass(frozen=True)
class Lora:
    """path: a .safetensors file. alpha: how strongly it counts, in [-MAX_ALPHA, MAX_ALPHA]."""

    path: Path
    alpha: float = 1.0

    def __post_init__(self) -> None:
        number = isinstance(self.alpha, int | float) and not isinstance(self.alpha, bool)
        if not number or not -MAX_ALPHA <= self.alpha <= MAX_ALPHA:
            raise BadSetting(
                f"alpha of a LoRA must be a number from {-MAX_ALPHA:g} to {MAX_ALPHA:g}, "
                f"got {self.alpha!r}."
            )


@dataclass(frozen=True)
class AppliedLora:
    """What a record tells of a LoRA that an open model has. name, sha256: of its file."""

    name: str
    alpha: float
    sha256: str

    @classmethod
    def of(cls, lora: Lora, cancel: Cancel) -> AppliedLora:
        return cls(lora.path.name, lora.alpha, hash_file(lora.path, cancel=cancel))


def require_lora(lora: Lora) -> None:
    """Raise ModelNotFound, BadWeights unless there is a .safetensors file."""
    if not lora.path.is_file():
        raise ModelNotFound(
            f"there is no LoRA file {lora.path}: give the path of a .safetensors file."
        )
    if lora.path.suffix != ".safetensors":
        raise BadWeights(
            f"{lora.path} is no .safetensors file, as LoRA files are: choose another file."
        )


def open_adapter(lora: Lora, alpha: float | None = None) -> Any:
    """An `openvino_genai.Adapter` that counts as much as asked at the runtime's alpha of 1.

    Raises BadWeights, ModelNotFound; RuntimeError for what OpenVINO GenAI cannot use.
    """
    import openvino
    import openvino_genai

    require_lora(lora)
    content = scaled_lora(lora.path, lora.alpha if alpha is None else alpha)
    return openvino_genai.Adapter(openvino.Tensor(content))


def adapter_config(adapters: Sequence[Any]) -> Any:
    """An `openvino_genai.AdapterConfig`, each at 1.

    Never another number: changed between two pictures, the alphas of several LoRAs at once are
    applied wrongly by OpenVINO GenAI 2026.4 (all but the last are lost).
    """
    import openvino_genai

    config = openvino_genai.AdapterConfig()
    for adapter in adapters:
        config.add(adapter, 1.0)
    return config
