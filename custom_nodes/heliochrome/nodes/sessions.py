"""Open models, kept between runs, few enough not to fill the memory."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import comfy.model_management

from ..core.backends import open_backend
from ..core.colorize import Colorizer
from .models import AUTO, ModelChoice

_LIMIT: Final = 2  # a graph that compares two models does not reload them each time


class Sessions:
    """At most `limit` open colorizers; the least recently used one is closed.

    Used from the host's one execution thread only.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: OrderedDict[tuple[ModelChoice, int], Colorizer] = OrderedDict()

    def open(self, choice: ModelChoice) -> Colorizer:
        """The colorizer of a model; a model file that changed on disk is read again."""
        key = (choice, choice.path.stat().st_mtime_ns)
        colorizer = self._open.pop(key, None)
        if colorizer is None:
            while len(self._open) >= self._limit:
                self._open.popitem(last=False)[1].close()
            device = _host_device() if choice.device == AUTO else choice.device
            _make_room(device, choice.path.stat().st_size)
            colorizer = Colorizer(open_backend(choice.path, choice.backend, device))
        self._open[key] = colorizer
        return colorizer

    def open_for(self, choice: ModelChoice, size: int) -> Colorizer:
        """`open`, with room for one picture of this size on the device."""
        colorizer = self.open(choice)
        _make_room(colorizer.backend.device, colorizer.backend.activation_bytes(1, size))
        return colorizer


def _host_device() -> str:
    """CPU when the host runs on it (`--cpu`), else what the backend finds best."""
    device = comfy.model_management.get_torch_device()
    return "cpu" if comfy.model_management.is_device_cpu(device) else AUTO


def _make_room(device: str, wanted: int) -> None:
    """Let the host put away models of other nodes until `wanted` bytes are free on the GPU."""
    if device != "cpu":
        comfy.model_management.free_memory(wanted, comfy.model_management.get_torch_device())


sessions: Final = Sessions(_LIMIT)
