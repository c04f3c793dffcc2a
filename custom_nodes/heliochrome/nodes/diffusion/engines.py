"""The Stable Diffusion model that is open in this host."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

from ...diffusion.engine import Engine, open_engine
from ...diffusion.sources import digest, resolve
from ..host import cancel
from ..hosted import Holding, HostedModel
from ..sessions import Sessions
from .models import DiffusionChoice, state, store

_LIMIT: Final = 1  # they are some gigabytes each
_WEIGHTS: Final = "*/*.bin"


@dataclass(frozen=True)
class OpenDiffusion:
    """sha256: over the model's files, for provenance."""

    engine: Engine
    sha256: str


def _read(choice: DiffusionChoice) -> HostedModel[OpenDiffusion]:
    places = store()
    folder = resolve(places, choice.name, cancel=cancel)
    sha256 = digest(places, folder, cancel=cancel)
    loras = () if choice.lora is None else (choice.lora,)
    engine = open_engine(
        folder, device=choice.device, cache=places.cache, loras=loras, cancel=cancel
    )
    weights = sum(file.stat().st_size for file in folder.glob(_WEIGHTS))
    # Also on OpenVINO's GPU and NPU: the host knows no memory of theirs.
    holding = Holding(choice.name, f"openvino, {choice.device}", weights, True, engine.close)
    return HostedModel(OpenDiffusion(engine, sha256), holding)


def _state(choice: DiffusionChoice) -> Hashable:
    return state(choice.path), choice.lora and state(choice.lora.path)


engines: Final = Sessions(_read, _state, _LIMIT)
