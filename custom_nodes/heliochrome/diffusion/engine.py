"""Stable Diffusion on OpenVINO GenAI, without the traps of using that library bare."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.backends.base import AUTO
from ..core.errors import BadWeights, GenerationFailed, OutOfMemory
from ..core.extent import Extent
from ..core.full_memory import memory_errors, says_out_of_memory
from ..core.jobs import Cancel, Progress, never_cancel, no_progress
from ..core.notices import Notice
from .callbacks import Preview, Reporter, Step, StepWatch
from .calling import call_pipeline
from .lora import AppliedLora, Lora, require_lora
from .lora_check import require_effect
from .model import DiffusionModel, read_model
from .pictures import from_runtime, inputs
from .prompts import TokenCount, token_counter
from .request import GenerationRequest
from .runtime import (
    RUNTIME_ERRORS,
    Opening,
    Pipelines,
    not_opened,
    open_pipelines,
    reason,
    require_device,
    require_runtime,
)
from .settle import Settled, settle
from .worker import Tell, Worker

_PICTURE = object()  # told after each finished picture


@dataclass(frozen=True)
class Generated:
    """images: (B, H, W, 3) float32 sRGB in [0, 1], the caller's own. seeds: one for each; a
    picture can be made again alone by its seed. request: as asked, every None filled in.
    loras: those that the model was opened with."""

    images: NDArray[np.float32]
    seeds: tuple[int, ...]
    request: GenerationRequest
    model: str
    notices: tuple[Notice, ...]
    loras: tuple[AppliedLora, ...] = ()


class Engine:
    """An open model. Made by `open_engine`; may be called from several threads at once.

    Requests are done one after another, each as if it were alone. After a failure of the runtime
    the model is opened anew for the next request.
    """

    model: DiffusionModel
    device: str

    def __init__(self, opening: Opening, count: TokenCount, worker: Worker) -> None:
        self.model = opening.model
        self.device = opening.device
        self._loras: tuple[AppliedLora, ...] = ()
        self._opening = opening
        self._count = count
        self._worker = worker
        self._closed = False
        self._pipelines: Pipelines | None = None  # touched on the worker's thread only

    def open(self, cancel: Cancel = never_cancel) -> None:
        """Load and compile the model now. Raises what `open_engine` raises."""

        def job(tell: Tell, stop: threading.Event) -> None:
            pipelines = self._open()
            if not stop.is_set():
                require_effect(pipelines, self._opening.loras, self.model, self._count)

        self._worker.run(job, cancel=cancel)
        self._loras = tuple(AppliedLora.of(lora, cancel) for lora in self._opening.loras)

    def generate(
        self,
        request: GenerationRequest,
        *,
        progress: Progress = no_progress,
        cancel: Cancel = never_cancel,
        preview: Preview | None = None,
    ) -> Generated:
        """Make the pictures. progress counts the steps of all of them.

        progress, preview and cancel are called on this thread. What they raise comes out of here
        at once; the step that runs is then finished in the background, and a next request waits
        for that. preview: only for models with the latents of Stable Diffusion 1 and 2.

        Raises BadSetting, BadImage; OutOfMemory, GenerationFailed (the runtime broke off),
        BadWeights (the model makes pictures of another size than its files say, or its
        tokenizer cannot be opened).
        """
        if self._closed:
            raise RuntimeError("this engine was closed")
        settled = settle(request, self.model, self._count)
        seen = preview if self.model.linear_preview else None
        reporter = Reporter(settled.steps, len(settled.seeds), progress, seen)

        def hear(word: Any) -> None:
            if isinstance(word, Step):
                reporter.step(word)
            elif word is _PICTURE:
                reporter.picture()

        images = self._worker.run(self._job(settled, seen is not None), hear, cancel)
        return Generated(
            images, settled.seeds, settled.request, self.model.name, settled.notices, self._loras
        )

    def close(self) -> None:
        """Wait for what runs, and free the model's memory."""
        if not self._closed:
            self._closed = True
            self._worker.run(lambda tell, stop: self._drop())
            self._worker.close()

    def abandon(self) -> None:
        """As `close`, but nobody waits: what still opens is freed when it is open."""
        if not self._closed:
            self._closed = True
            self._worker.leave(self._drop)

    def _job(
        self, settled: Settled, latents: bool
    ) -> Callable[[Tell, threading.Event], NDArray[np.float32]]:
        def job(tell: Tell, stop: threading.Event) -> NDArray[np.float32]:
            size = (settled.extent.height, settled.extent.width, 3)
            pictures = inputs(settled)
            with memory_errors(f"make {len(settled.seeds)} pictures of {settled.extent}"):
                made = np.empty((len(settled.seeds), *size), np.float32)
            for image, seed in zip(made, settled.seeds, strict=True):
                watch = StepWatch(tell, stop, latents=latents)
                image[:] = self._picture(settled, pictures, seed, watch)
                tell(_PICTURE)
            return made

        return job

    def _picture(
        self, settled: Settled, pictures: Sequence[NDArray[np.uint8]], seed: int, watch: StepWatch
    ) -> NDArray[np.float32]:
        """One picture, (H, W, 3) in [0, 1]. On the worker's thread."""
        watch.require_going()
        try:
            result = call_pipeline(self._open(), self.model, settled, pictures, seed, watch)
            if watch.failure is not None:
                raise RuntimeError("the report of a step failed") from watch.failure
        except RUNTIME_ERRORS as error:
            self._drop()  # its requests may be left with shapes that no other picture fits
            error.with_traceback(None)  # whose frames hold the model
            if says_out_of_memory(error):
                raise OutOfMemory(
                    f"not enough memory for a picture of {settled.extent}: ask for a smaller one, "
                    "or close other programs."
                ) from error
            raise GenerationFailed(
                f"OpenVINO failed while it made the picture ({reason(error)}). The next request "
                "starts afresh; if it fails too, check the model with `heliochrome sd list`."
            ) from error
        watch.require_going()  # what comes back from a stop is no picture
        height, width = result.shape[1:3]
        if Extent(width, height) != settled.extent:
            raise BadWeights(
                f"{self.model.name} made a picture of {Extent(width, height)} where "
                f"{settled.extent} was asked for: block_out_channels in the config.json of its "
                "VAE, or of its UNet, is not the model's. Get or convert the model again."
            )
        return from_runtime(result)

    def _open(self) -> Pipelines:
        if self._pipelines is None:
            self._pipelines = open_pipelines(self._opening)
        return self._pipelines

    def _drop(self) -> None:
        self._pipelines = None


def open_engine(
    folder: Path,
    *,
    device: str = "CPU",
    cache: Path | None = None,
    loras: Sequence[Lora] = (),
    precision: str = AUTO,
    cancel: Cancel = never_cancel,
) -> Engine:
    """Open a model folder in OpenVINO GenAI's layout.

    device: one of DEVICES. GPU and NPU could not be tried on the machines that this was made on;
    the NPU makes pictures of the model's native size only. cache: folder below which compiled
    models are kept, if it can be written to; the next opening is faster. precision: "auto" (f32
    on the processor, the device's own elsewhere), or one that the device computes in. What
    cancel raises comes out of here at once; OpenVINO cannot be stopped, and what it still opens
    is freed.

    Raises ModelNotFound, BadWeights, BadSetting, BackendUnavailable (the runtime or the device is
    not here), OutOfMemory; GenerationFailed (the model fails when LoRA files are tried).
    """
    require_runtime()
    model = read_model(folder)
    require_device(device)
    for lora in loras:
        require_lora(lora)
    if device == "NPU":  # opened for one size
        model = replace(model, fixed=model.native, needs_guidance=not model.lcm)
    opening = Opening(model, device, precision, cache, tuple(loras))
    engine = Engine(opening, _counter(model), Worker("heliochrome-diffusion"))
    try:
        engine.open(cancel)
    except BaseException:
        engine.abandon()
        raise
    return engine


def _counter(model: DiffusionModel) -> TokenCount:
    counted = token_counter(model.tokenizers)

    def count(text: str) -> int:
        try:
            return counted(text)
        except RUNTIME_ERRORS as error:
            raise not_opened(str(model.tokenizers[0]), error) from error

    return count
