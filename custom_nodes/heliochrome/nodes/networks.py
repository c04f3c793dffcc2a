"""The DDColor networks that are open in this host."""

from __future__ import annotations

from typing import Final

import comfy.model_management

from ..core.backends import AUTO
from ..core.loading import LoadedModel, open_model, weights_state
from ..core.memory import free_bytes
from .hosted import Holding, HostedModel
from .models import ModelChoice, store
from .sessions import Sessions

_LIMIT: Final = 2  # a graph that compares two models does not reload them each time


def _read(choice: ModelChoice) -> HostedModel[LoadedModel]:
    device = _host_device() if choice.device == AUTO else choice.device
    if device != "cpu":
        gpu = comfy.model_management.get_torch_device()
        comfy.model_management.free_memory(choice.path.stat().st_size, gpu)
    places = store()
    name = choice.name if choice.name in places.catalog.models else str(choice.path)
    model = open_model(places, name, choice.backend, device, choice.precision)
    backend = model.backend
    runtime = f"{backend.name}, {backend.device}"
    on_cpu = backend.device == "cpu"
    return HostedModel(
        model, Holding(model.name, runtime, backend.weight_bytes, on_cpu, backend.close)
    )


def _host_device() -> str:
    """CPU when the host runs on it (`--cpu`), else what the backend finds best."""
    device = comfy.model_management.get_torch_device()
    return "cpu" if comfy.model_management.is_device_cpu(device) else AUTO


networks: Final = Sessions(_read, lambda choice: weights_state(choice.path), _LIMIT)


def free_memory(device: str, wanted: int) -> int | None:
    """See `core.memory.FreeMemory`. The network opened last is the one that stays."""
    if device == "cpu":
        return free_bytes(device, wanted)
    network = networks.latest
    if network is not None:
        network.stay(wanted)
        if network.opened is not None and network.opened.backend.name != "torch":
            # The host counts what PyTorch keeps for itself as free.
            comfy.model_management.soft_empty_cache()
    free = comfy.model_management.get_free_memory(comfy.model_management.get_torch_device())
    return int(free)
