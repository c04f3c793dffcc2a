"""Whether LoRA files fit the model that they were opened with, tried on the smallest picture."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..core.errors import BadWeights, GenerationFailed, OutOfMemory
from ..core.full_memory import says_out_of_memory
from ..core.lab import FloatArray
from .callbacks import StepWatch
from .calling import call_pipeline
from .lora import MAX_ALPHA, Lora, adapter_config, open_adapter
from .model import DiffusionModel
from .pictures import from_runtime, inputs
from .prompts import TokenCount
from .request import GenerationRequest
from .runtime import RUNTIME_ERRORS, Pipelines, reason
from .settle import Settled, settle


def require_effect(
    pipelines: Pipelines, loras: Sequence[Lora], model: DiffusionModel, count: TokenCount
) -> None:
    """Raise BadWeights for a LoRA whose shapes do not fit, or that changes nothing.

    Also OutOfMemory, and GenerationFailed if the model fails without a LoRA.

    OpenVINO GenAI would fail at each picture with the one, and leave out the other in silence:
    it finds layers by their names.
    """
    if not loras:
        return
    settled = settle(_smallest(model), model, count)
    try:
        without = _picture(pipelines, model, settled, [])
    except RUNTIME_ERRORS as error:
        if says_out_of_memory(error):
            raise _no_room(model) from error
        raise GenerationFailed(
            f"OpenVINO failed while LoRA files were tried with {model.name} ({reason(error)}): "
            "check the model with `heliochrome sd list`, or leave the LoRA out."
        ) from error
    for lora in loras:
        try:
            changed = _picture(pipelines, model, settled, [open_adapter(lora, MAX_ALPHA)])
        except RUNTIME_ERRORS as error:
            if says_out_of_memory(error):
                raise _no_room(model) from error
            raise BadWeights(
                f"{lora.path} does not fit {model.name} ({reason(error)}): it was made for another "
                "kind of model. Choose another LoRA."
            ) from error
        if np.array_equal(changed, without):
            raise BadWeights(
                f"{lora.path} changes nothing in {model.name}: none of its layers is there. It was "
                "made for another kind of model. Choose another LoRA."
            )


def _no_room(model: DiffusionModel) -> OutOfMemory:
    return OutOfMemory(
        f"not enough memory to try the LoRA files with {model.name}: close other programs, or "
        "leave the LoRA out."
    )


def _smallest(model: DiffusionModel) -> GenerationRequest:
    extent = model.fixed
    step = model.size_step
    grey: dict[str, Any] = {}
    if model.modes == ("inpaint",):
        grey = {"image": np.full((8, 8, 3), 0.5, np.float32), "mask": np.ones((8, 8), np.float32)}
    return GenerationRequest(
        prompt="a photograph",
        width=extent.width if extent else step,
        height=extent.height if extent else step,
        num_inference_steps=1,
        seed=0,
        **grey,
    )


def _picture(
    pipelines: Pipelines, model: DiffusionModel, settled: Settled, adapters: Sequence[Any]
) -> FloatArray:
    probe = replace(pipelines, arguments={"adapters": adapter_config(adapters)})
    watch = StepWatch(lambda step: None, threading.Event(), latents=False)
    return from_runtime(call_pipeline(probe, model, settled, inputs(settled), 0, watch))
