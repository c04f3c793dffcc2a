"""Open models, kept between runs, few enough not to fill the memory."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, TypeAlias

import comfy.model_management

from ..core.backends import AUTO
from ..core.loading import LoadedModel, open_model, weights_state
from ..core.memory import free_bytes
from .hosted import HostedNetwork
from .models import ModelChoice, store

_LIMIT: Final = 2  # a graph that compares two models does not reload them each time

_Key: TypeAlias = tuple[ModelChoice, tuple[tuple[int, int], ...]]  # and the state of its files


class Sessions:
    """A few open models; the least recently used one is closed, and the host may close any.

    Used from the host's one execution thread only.
    """

    def __init__(self) -> None:
        self._networks: OrderedDict[_Key, HostedNetwork] = OrderedDict()

    def open(self, choice: ModelChoice) -> LoadedModel:
        """The open model; one whose files changed on disk, or that was closed, is read again."""
        key = (choice, weights_state(choice.path))
        for other, network in list(self._networks.items()):
            replaced = other[0].path == choice.path and other[1] != key[1]
            if replaced or network.opened is None:
                self._drop(other)
        if key in self._networks:
            self._networks.move_to_end(key)
        else:
            while len(self._networks) >= _LIMIT:
                self._drop(next(iter(self._networks)))
            self._networks[key] = HostedNetwork(_read(choice))
        opened = self._networks[key].opened
        assert opened is not None
        return opened

    def free_memory(self, device: str, wanted: int) -> int | None:
        """See `core.memory.FreeMemory`. The model opened last is the one that stays."""
        if device == "cpu":
            return free_bytes(device, wanted)
        network = next(reversed(self._networks.values()), None)
        if network is not None:
            network.stay(wanted)
            if network.opened is not None and network.opened.backend.name != "torch":
                # The host counts what PyTorch keeps for itself as free.
                comfy.model_management.soft_empty_cache()
        free = comfy.model_management.get_free_memory(comfy.model_management.get_torch_device())
        return int(free)

    def _drop(self, key: _Key) -> None:
        self._networks.pop(key).close()


def _read(choice: ModelChoice) -> LoadedModel:
    device = _host_device() if choice.device == AUTO else choice.device
    if device != "cpu":
        gpu = comfy.model_management.get_torch_device()
        comfy.model_management.free_memory(choice.path.stat().st_size, gpu)
    places = store()
    name = choice.name if choice.name in places.catalog.models else str(choice.path)
    return open_model(places, name, choice.backend, device, choice.precision)


def _host_device() -> str:
    """CPU when the host runs on it (`--cpu`), else what the backend finds best."""
    device = comfy.model_management.get_torch_device()
    return "cpu" if comfy.model_management.is_device_cpu(device) else AUTO


sessions: Final = Sessions()
