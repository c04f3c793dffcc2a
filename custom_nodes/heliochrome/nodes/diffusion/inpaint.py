"""The node that repaints what is masked in a photograph, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import torch
from comfy_api.latest import io

from ...core.provenance import Provenance
from ...diffusion.photo_repair import repair_picture
from ...diffusion.region import View
from ...diffusion.repair import (
    CONTEXT,
    FEATHER,
    MAX_CONTEXT,
    MAX_FEATHER,
    Blending,
    torn_regions,
)
from ...diffusion.request import GenerationRequest, following
from ..host import cancel
from ..schema import DIFFUSION_CATEGORY, schema
from ..tensors import from_image
from ..widgets import earlier_input, image_input
from .making import Maker, own
from .masks import masks_for
from .models import DiffusionChoice
from .widgets import (
    check_scheduler,
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

_STRENGTH: Final = 0.9


class HeliochromeInpaint(io.ComfyNode):
    """IMAGE and MASK -> IMAGE of the same size, provenance of kind "inpainting", the seed."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            DIFFUSION_CATEGORY,
            node_id="HeliochromeInpaint",
            display_name="Repaint Masked Area (OpenVINO)",
            description="Repaints what is masked in a photograph of any size, such as a tear or a "
            "stain, with Stable Diffusion on OpenVINO. Every other pixel stays exactly as it is.",
            search_aliases=["inpaint", "repair", "tear", "scratch", "局部重绘", "修复"],
            inputs=[
                diffusion_input(),
                image_input(),
                io.Mask.Input(
                    "mask",
                    tooltip="What to repaint: 1 there, 0 elsewhere. Paint a little beyond the "
                    "damage.",
                ),
                prompt_input(),
                negative_prompt_input(),
                strength_input(_STRENGTH),
                steps_input(),
                guidance_input(),
                seed_input(),
                scheduler_input(),
                io.Float.Input(
                    "context",
                    default=CONTEXT,
                    min=0.0,
                    max=MAX_CONTEXT,
                    step=0.1,
                    tooltip="How much of the photograph around the damage the model sees at least, "
                    "in parts of the damage's long side.",
                ),
                io.Int.Input(
                    "feather",
                    default=FEATHER,
                    min=0,
                    max=MAX_FEATHER,
                    tooltip="Pixels, within the mask, over which the surroundings pass into what "
                    "is painted.",
                ),
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
        mask: torch.Tensor,
        prompt: str,
        negative_prompt: str,
        strength: float,
        num_inference_steps: int,
        guidance_scale: float,
        seed: int,
        scheduler: str,
        context: float,
        feather: int,
        record_prompt: bool,
        provenance: Provenance | None = None,
    ) -> io.NodeOutput:
        pictures = from_image(image)
        masks = masks_for(mask, pictures.color)
        blending = Blending(context, feather)
        maker = Maker(diffusion, cls.hidden.unique_id)
        maker.note(pictures.notices)
        view = View.of(maker.model)
        torn = [
            torn_regions(picture, plane, view, blending)
            for picture, plane in zip(pictures.color, masks, strict=True)
        ]
        maker.plan(sum(map(len, torn)))
        asked = GenerationRequest(
            prompt=prompt,
            negative_prompt=negative_prompt,
            num_inference_steps=own(num_inference_steps),
            guidance_scale=own(guidance_scale),
            scheduler=own(scheduler),
        )
        results = []
        repainted = 0
        for picture, plane, regions in zip(pictures.color, masks, torn, strict=True):
            request = replace(
                asked,
                strength=strength,
                seed=following(seed, repainted),
                image=picture,
                mask=plane,
            )
            done = repair_picture(picture, request, regions, maker.make, blending, cancel)
            repainted += len(regions)
            maker.note(done.notices)
            results.append(done.image)
        made = maker.finish(
            np.stack(results),
            seed,
            prompts=record_prompt,
            alpha=pictures.alpha,
            before=provenance,
            blending=blending,
        )
        return io.NodeOutput(made.image, made.provenance, made.seed)
