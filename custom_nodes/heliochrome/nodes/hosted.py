"""An open network as one of the host's models, so that the host can have its memory back."""

from __future__ import annotations

import logging

import comfy.model_management
import torch
from comfy.model_patcher import ModelPatcher

from ..core.loading import LoadedModel

_log = logging.getLogger("heliochrome")


class _Network(torch.nn.Module):
    """What the host's books are kept on. The weights are elsewhere, with their runtime."""

    device: torch.device | None = None


class HostedNetwork(ModelPatcher):
    """A network that is open from its creation until someone wants its memory.

    The host counts it among its loaded models, and puts it away like those: when another
    node needs the memory, or the user presses "Unload models". It is then closed as a whole.
    """

    def __init__(self, model: LoadedModel) -> None:
        on_cpu = model.backend.device == "cpu"
        super().__init__(
            _Network(),
            load_device=torch.device("cpu")
            if on_cpu
            else comfy.model_management.get_torch_device(),
            offload_device=torch.device("cpu"),
            size=max(1, model.backend.weight_bytes),  # 0 would be "not known yet"
        )
        self._open: LoadedModel | None = model
        self.stay()
        _log.info("model opened: %s (%s, %s)", model.name, model.backend.name, model.backend.device)

    @property
    def opened(self) -> LoadedModel | None:
        """None once it has been put away."""
        return self._open

    def stay(self, wanted: int = 0) -> None:
        """Have the host put away other models until `wanted` bytes are free beside this one."""
        comfy.model_management.load_models_gpu([self], memory_required=wanted)

    def close(self) -> None:
        """Free the network's memory. Nothing happens the second time."""
        if self._open is not None:
            model, self._open = self._open, None
            model.backend.close()
            self.model.model_loaded_weight_memory = 0
            _log.info("model closed: %s", model.name)

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
        """No part of a network can go; the host then lets go of the whole."""
        return 0

    def detach(self, unpatch_all: bool = True) -> object:
        """The host lets go; with `unpatch_all` it wants the memory."""
        if unpatch_all:
            self.close()
        return self.model
