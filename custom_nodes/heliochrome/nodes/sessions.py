"""Open models, kept between runs, few enough not to fill the memory."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import comfy.model_management

from ..core.backends import AUTO
from ..core.colorize import Colorizer
from ..core.loading import LoadedModel, open_model
from .models import ModelChoice, store

_LIMIT: Final = 2  # a graph that compares two models does not reload them each time


@dataclass(frozen=True)
class Session:
    """An open model and what colours with it."""

    model: LoadedModel
    colorizer: Colorizer


class Sessions:
    """At most `limit` open models; the least recently used one is closed.

    Used from the host's one execution thread only.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: OrderedDict[tuple[ModelChoice, int], Session] = OrderedDict()

    def open(self, choice: ModelChoice) -> Session:
        """The session of a model; a model file that changed on disk is read again."""
        state = choice.path.stat()
        key = (choice, state.st_mtime_ns)
        session = self._open.pop(key, None)
        if session is None:
            while len(self._open) >= self._limit:
                self._open.popitem(last=False)[1].colorizer.close()
            device = _host_device() if choice.device == AUTO else choice.device
            _make_room(device, state.st_size)
            places = store()
            name = choice.name if choice.name in places.catalog.models else str(choice.path)
            model = open_model(places, name, choice.backend, device)
            session = Session(model, Colorizer(model.backend))
        self._open[key] = session
        return session

    def open_for(self, choice: ModelChoice, size: int) -> Session:
        """`open`, with room for one picture of this size on the device."""
        session = self.open(choice)
        backend = session.model.backend
        _make_room(backend.device, backend.activation_bytes(1, size))
        return session


def _host_device() -> str:
    """CPU when the host runs on it (`--cpu`), else what the backend finds best."""
    device = comfy.model_management.get_torch_device()
    return "cpu" if comfy.model_management.is_device_cpu(device) else AUTO


def _make_room(device: str, wanted: int) -> None:
    """Let the host put away models of other nodes until `wanted` bytes are free on the GPU."""
    if device != "cpu":
        comfy.model_management.free_memory(wanted, comfy.model_management.get_torch_device())


sessions: Final = Sessions(_LIMIT)
