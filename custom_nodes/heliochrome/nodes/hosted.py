"""An open model of ours as one of the host's, so that the host can have its memory back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import comfy.model_management
import torch
from comfy.model_patcher import ModelPatcher

_Model = TypeVar("_Model")

_log = logging.getLogger("heliochrome")


@dataclass(frozen=True)
class Holding:
    """What the host is told of an open model.

    weight_bytes: the memory it gives back when it is closed. on_cpu: whose memory that is, the
    processor's or that of the host's own GPU. runtime: for the log.
    """

    name: str
    runtime: str
    weight_bytes: int
    on_cpu: bool
    close: Callable[[], None]


class _Weights(torch.nn.Module):
    """What the host's books are kept on. The weights are elsewhere, with their runtime."""

    device: torch.device | None = None


class HostedModel(ModelPatcher, Generic[_Model]):
    """A model that is open from its creation until someone wants its memory.

    The host counts it among its loaded models, and puts it away like those: when another
    node needs the memory, or the user presses "Unload models". It is then closed as a whole.
    """

    def __init__(self, model: _Model, holding: Holding) -> None:
        super().__init__(
            _Weights(),
            load_device=torch.device("cpu")
            if holding.on_cpu
            else comfy.model_management.get_torch_device(),
            offload_device=torch.device("cpu"),
            size=max(1, holding.weight_bytes),  # 0 would be "not known yet"
        )
        self._open: _Model | None = model
        self._holding = holding
        self.stay()
        _log.info("model opened: %s (%s)", holding.name, holding.runtime)

    @property
    def opened(self) -> _Model | None:
        """None once it has been put away."""
        return self._open

    def stay(self, wanted: int = 0) -> None:
        """Have the host put away other models until `wanted` bytes are free beside this one."""
        comfy.model_management.load_models_gpu([self], memory_required=wanted)

    def close(self) -> None:
        """Free the model's memory. Nothing happens the second time."""
        if self._open is not None:
            self._open = None
            self._holding.close()
            self.model.model_loaded_weight_memory = 0
            _log.info("model closed: %s", self._holding.name)

    # What the host calls, in both ways of spelling that 0.3.64 and 0.33 have.

    def partially_load(
        self, device_to: torch.device, extra_memory: float = 0, force_patch_weights: bool = False
    ) -> int:
        """It is loaded already. The bytes that were loaded by this call."""
        before, now = self.model.model_loaded_weight_memory, self.model_size()
        self.model.device = device_to
        self.model.model_loaded_weight_memory = now
        return int(now - before)

    def partially_unload(
        self, device_to: torch.device, memory_to_free: float = 0, force_patch_weights: bool = False
    ) -> int:
        """No part of a model can go; the host then lets go of the whole."""
        return 0

    def detach(self, unpatch_all: bool = True) -> object:
        """The host lets go; with `unpatch_all` it wants the memory."""
        if unpatch_all:
            self.close()
        return self.model
