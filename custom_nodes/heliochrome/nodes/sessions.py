"""Open models, kept between runs, few enough not to fill the memory."""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import Final, TypeAlias

import comfy.model_management

from ..core.backends import AUTO
from ..core.extent import Extent
from ..core.loading import LoadedModel, open_model, weights_state
from .models import ModelChoice, store

_LIMIT: Final = 2  # a graph that compares two models does not reload them each time
# The host puts away only models that it loaded itself, so what stays open on a GPU is memory
# that it cannot have back for other nodes.
_GPU_LIMIT: Final = 1

_log = logging.getLogger("heliochrome")

_Key: TypeAlias = tuple[ModelChoice, tuple[tuple[int, int], ...]]  # and the state of its files


class Sessions:
    """A few open models; the least recently used one is closed.

    Used from the host's one execution thread only.
    """

    def __init__(self) -> None:
        self._open: OrderedDict[_Key, LoadedModel] = OrderedDict()

    def open(self, choice: ModelChoice) -> LoadedModel:
        """The open model; one whose files changed on disk is read again."""
        key = (choice, weights_state(choice.path))
        if key not in self._open:
            self._open[key] = self._read(key)
        self._open.move_to_end(key)
        return self._open[key]

    def open_for(self, choice: ModelChoice, size: int) -> LoadedModel:
        """`open`, with room for one picture of this size on the device."""
        model = self.open(choice)
        _make_room(model.backend.device, model.backend.activation_bytes(Extent(size, size)))
        return model

    def _read(self, key: _Key) -> LoadedModel:
        choice, state = key
        for other in list(self._open):
            if other[0].path == choice.path and other[1] != state:
                self._close(other)  # its files were replaced
        device = _host_device() if choice.device == AUTO else choice.device
        limit = _LIMIT if device == "cpu" else _GPU_LIMIT
        while len(self._open) >= limit:
            self._close(next(iter(self._open)))
        _make_room(device, choice.path.stat().st_size)
        places = store()
        name = choice.name if choice.name in places.catalog.models else str(choice.path)
        model = open_model(places, name, choice.backend, device)
        _log.info("model opened: %s (%s, %s)", model.name, model.backend.name, model.backend.device)
        return model

    def _close(self, key: _Key) -> None:
        model = self._open.pop(key)
        model.backend.close()
        _log.info("model closed: %s", model.name)


def _host_device() -> str:
    """CPU when the host runs on it (`--cpu`), else what the backend finds best."""
    device = comfy.model_management.get_torch_device()
    return "cpu" if comfy.model_management.is_device_cpu(device) else AUTO


def _make_room(device: str, wanted: int) -> None:
    """Let the host put away models of other nodes until `wanted` bytes are free on the GPU."""
    if device != "cpu":
        comfy.model_management.free_memory(wanted, comfy.model_management.get_torch_device())


sessions: Final = Sessions()
