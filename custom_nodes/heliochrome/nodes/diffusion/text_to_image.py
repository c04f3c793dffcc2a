"""The node that makes pictures from words."""

from __future__ import annotations

from comfy_api.latest import io

from ...diffusion.request import MAX_SIDE, GenerationRequest
from ..schema import DIFFUSION_CATEGORY, schema
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
)

_STEP = 8  # what any model's sides are multiples of


class HeliochromeTextToImage(io.ComfyNode):
    """prompt -> IMAGE (B, H, W, 3), provenance of kind "generation", the first one's seed."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            DIFFUSION_CATEGORY,
            node_id="HeliochromeTextToImage",
            display_name="Text to Image (OpenVINO)",
            description="Makes pictures from words with Stable Diffusion on OpenVINO. "
            "The saved file says that a model made all of it.",
            search_aliases=["stable diffusion", "txt2img", "generate", "文生图"],
            inputs=[
                diffusion_input(),
                prompt_input(),
                negative_prompt_input(),
                io.Int.Input(
                    "width",
                    default=OWN,
                    min=OWN,
                    max=MAX_SIDE,
                    step=_STEP,
                    tooltip="In pixels, a multiple of 64 for most models. 0 is the model's own.",
                ),
                io.Int.Input(
                    "height",
                    default=OWN,
                    min=OWN,
                    max=MAX_SIDE,
                    step=_STEP,
                    tooltip="In pixels, a multiple of 64 for most models. 0 is the model's own.",
                ),
                steps_input(),
                guidance_input(),
                seed_input(),
                scheduler_input(),
                count_input(),
                record_prompt_input(),
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
        prompt: str,
        negative_prompt: str,
        width: int,
        height: int,
        num_inference_steps: int,
        guidance_scale: float,
        seed: int,
        scheduler: str,
        num_images_per_prompt: int,
        record_prompt: bool,
    ) -> io.NodeOutput:
        request = GenerationRequest(
            prompt=prompt,
            negative_prompt=negative_prompt,
            width=own(width),
            height=own(height),
            num_inference_steps=own(num_inference_steps),
            guidance_scale=own(guidance_scale),
            seed=seed,
            scheduler=own(scheduler),
            num_images_per_prompt=num_images_per_prompt,
        )
        maker = Maker(diffusion, cls.hidden.unique_id)
        made = maker.make(request)
        done = maker.finish(made.images, seed, prompts=record_prompt)
        return io.NodeOutput(done.image, done.provenance, done.seed)
