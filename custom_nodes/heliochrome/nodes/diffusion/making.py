"""What the Stable Diffusion nodes do alike: ask the engine, tell the user, keep the record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from ...core.backends import AUTO
from ...core.extent import Extent
from ...core.jobs import part
from ...core.notices import Notice
from ...core.provenance import Provenance
from ...diffusion.engine import Generated
from ...diffusion.model import DiffusionModel
from ...diffusion.record import record, record_of_repair
from ...diffusion.repair import Blending
from ...diffusion.request import GenerationRequest
from ..host import cancel, notify
from ..tensors import FloatArray, Pictures, to_image
from .engines import engines
from .live import Live
from .models import DiffusionChoice
from .widgets import OWN

_Value = TypeVar("_Value", int, float, str)


@dataclass(frozen=True)
class Made:
    """What a node gives. provenance: None if nothing was made."""

    image: torch.Tensor
    provenance: Provenance | None
    seed: int


class Maker:
    """One run of a node: opens the model, then makes what it is asked."""

    def __init__(self, choice: DiffusionChoice, node_id: str | None) -> None:
        self._open = engines.open(choice)
        self._node_id = node_id
        self._live = Live(node_id)
        self._planned = 1
        self._made: list[Generated] = []
        self._notices: list[Notice] = []

    @property
    def model(self) -> DiffusionModel:
        return self._open.engine.model

    def plan(self, requests: int) -> None:
        """How many requests there will be, for the progress bar. Before the first one."""
        self._planned = requests

    def make(self, request: GenerationRequest) -> Generated:
        """Raises what `Engine.generate` raises, and the host's interrupt."""
        done = len(self._made)
        made = self._open.engine.generate(
            request,
            progress=part(self._live.progress, done / self._planned, (done + 1) / self._planned),
            cancel=cancel,
            preview=self._live.preview,
        )
        self._made.append(made)
        return made

    def note(self, notices: Sequence[Notice]) -> None:
        """What the user is to be told besides what the engine tells."""
        self._notices += notices

    def finish(
        self,
        pictures: FloatArray,
        seed: int,
        *,
        prompts: bool,
        alpha: FloatArray | None = None,
        before: Provenance | None = None,
        blending: Blending | None = None,
    ) -> Made:
        """pictures: (B, H, W, 3); alpha: theirs, (B, H, W, 1). prompts: whether to record them.
        before: the record that came with the picture. blending: how the pictures were
        repaired, if they were."""
        told = [*self._notices, *(notice for made in self._made for notice in made.notices)]
        notify(self._node_id, list({notice.text: notice for notice in told}.values()))
        provenance = before
        if self._made:
            engine = self._open.engine
            about: Any = {
                "device": engine.device,
                "sha256": self._open.sha256,
                "prompts": prompts,
                "notices": self._notices,
            }
            if blending is None:
                made = record(self._made, **about)
            else:
                extent = Extent.of(pictures.shape[1:])
                made = record_of_repair(self._made, extent=extent, blending=blending, **about)
            provenance = made.after(before)
        return Made(to_image(Pictures(pictures, alpha)), provenance, seed)


def own(value: _Value) -> _Value | None:
    """A widget's value as a request has it: None where the widget says "the model's own"."""
    return None if value in (OWN, AUTO) else value
