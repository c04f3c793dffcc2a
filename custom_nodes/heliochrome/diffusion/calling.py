"""One picture made by an open pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .callbacks import StepWatch
from .model import DiffusionModel
from .noise import seeded_noise
from .runtime import Pipelines
from .schedulers import make_scheduler
from .settle import Settled


def call_pipeline(
    pipelines: Pipelines,
    model: DiffusionModel,
    settled: Settled,
    pictures: Sequence[NDArray[np.uint8]],
    seed: int,
    watch: StepWatch,
) -> Any:
    """The runtime's own tensor; empty if it was stopped. pictures: `pictures.inputs`.

    Every argument that counts is given: what is left out, or unknown, it decides in silence.
    """
    import openvino

    request, extent = settled.request, settled.extent
    pipeline = pipelines.by_mode[request.mode]
    pipeline.set_scheduler(make_scheduler(model.scheduler_config, settled.scheduler))
    arguments: dict[str, Any] = {
        **pipelines.arguments,
        "width": extent.width,
        "height": extent.height,
        "num_images_per_prompt": 1,
        "num_inference_steps": request.num_inference_steps,
        "guidance_scale": float(request.guidance_scale or 0),
        "generator": seeded_noise(seed),
        "callback": watch,
    }
    if settled.negative:
        arguments["negative_prompt"] = settled.negative
    if request.image is not None:
        arguments["strength"] = float(request.strength or 1)
    tensors = [openvino.Tensor(picture) for picture in pictures]
    return pipeline.generate(settled.prompt, *tensors, **arguments)
