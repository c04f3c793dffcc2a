"""The node that makes a new picture from one and words."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from comfy_api.latest import io

from ...core.extent import Extent
from ...core.provenance import Provenance
from ...diffusion.model import DiffusionModel
from ...diffusion.request import MAX_SIDE, GenerationRequest, following
from ..schema import DIFFUSION_CATEGORY, schema
from ..tensors import from_image
from ..widgets import earlier_input
from .making import Maker, own
from .models import DiffusionChoice
from .widgets import (
    OWN,
    check_scheduler,
    count_input,
    diffusion_input,
    guidance_input,
    made_outputs,
    negative_prompt_input,
    prompt_input,
    record_prompt_input,
    scheduler_input,
    seed_input,
    steps_input,
    strength_input,
)

_STRENGTH: Final = 0.6
_STEP: Final = 8  # what any model's sides are multiples of


class HeliochromeImageToImage(io.ComfyNode):
    """IMAGE and prompt -> IMAGE, provenance of kind "variation", the first one's seed."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            DIFFUSION_CATEGORY,
            node_id="HeliochromeImageToImage",
            display_name="Image to Image (OpenVINO)",
            description="Makes new pictures from a picture and words with Stable Diffusion on "
            "OpenVINO. All of the picture changes; to repair part of one, use Repaint Masked Area.",
            search_aliases=["stable diffusion", "img2img", "variation", "图生图"],
            inputs=[
                diffusion_input(),
                io.Image.Input("image", tooltip="The picture to start from."),
                prompt_input(),
                negative_prompt_input(),
                strength_input(_STRENGTH),
                io.Int.Input(
                    "long_side",
                    default=OWN,
                    min=OWN,
                    max=MAX_SIDE,
                    step=_STEP,
                    tooltip="Of the result, in pixels; its shape is the picture's, as near as the "
                    "model can. 0 is the model's own size.",
                ),
                steps_input(),
                guidance_input(),
                seed_input(),
                scheduler_input(),
                count_input(),
                record_prompt_input(),
                earlier_input(),
            ],
            outputs=made_outputs(),
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, scheduler: str | None = None) -> bool | str:
        return check_scheduler(scheduler)

    @classmethod
    def execute(
        cls,
        diffusion: DiffusionChoice,
        image: torch.Tensor,
        prompt: str,
        negative_prompt: str,
        strength: float,
        long_side: int,
        num_inference_steps: int,
        guidance_scale: float,
        seed: int,
        scheduler: str,
        num_images_per_prompt: int,
        record_prompt: bool,
        provenance: Provenance | None = None,
    ) -> io.NodeOutput:
        pictures = from_image(image)
        maker = Maker(diffusion, cls.hidden.unique_id)
        maker.note(pictures.notices)
        maker.plan(len(pictures.color))
        extent = _extent(maker.model, Extent.of(pictures.color.shape[1:]), long_side)
        results = []
        for index, picture in enumerate(pictures.color):
            made = maker.make(
                GenerationRequest(
                    prompt=prompt,
                    negative_prompt=negative_prompt,
                    width=extent.width,
                    height=extent.height,
                    num_inference_steps=own(num_inference_steps),
                    guidance_scale=own(guidance_scale),
                    strength=strength,
                    seed=following(seed, index * num_images_per_prompt),
                    scheduler=own(scheduler),
                    num_images_per_prompt=num_images_per_prompt,
                    image=picture,
                )
            )
            results.append(made.images)
        done = maker.finish(np.concatenate(results), seed, prompts=record_prompt, before=provenance)
        return io.NodeOutput(done.image, done.provenance, done.seed)


def _extent(model: DiffusionModel, picture: Extent, long_side: int) -> Extent:
    """The size of the result: the picture's shape, as near as the model's sizes allow."""
    if model.fixed is not None:
        return model.fixed
    asked = long_side or max(model.native.width, model.native.height)
    return picture.fit(max(asked, model.size_step), model.size_step)
