"""Inputs and outputs that several Stable Diffusion nodes have, each worded once."""

from __future__ import annotations

from typing import Final

from comfy_api.latest import io

from ...core.backends import AUTO
from ...diffusion.request import MAX_GUIDANCE, MAX_IMAGES, MAX_SEED, MAX_STEPS
from ...diffusion.schedulers import SCHEDULERS
from ..choice import check_choice
from ..schema import DiffusionSocket, ProvenanceSocket

OWN: Final = 0  # of a number: the model's own


def diffusion_input() -> io.Custom.Input:
    return DiffusionSocket.Input(
        "diffusion", tooltip="The model, from Load Stable Diffusion (OpenVINO)."
    )


def prompt_input() -> io.String.Input:
    return io.String.Input(
        "prompt",
        default="",
        multiline=True,
        tooltip="What the picture shows, in English for most models.",
    )


def negative_prompt_input() -> io.String.Input:
    return io.String.Input(
        "negative_prompt",
        default="",
        multiline=True,
        tooltip="What it does not show. Without guidance it has no effect.",
    )


def steps_input() -> io.Int.Input:
    return io.Int.Input(
        "num_inference_steps",
        default=OWN,
        min=OWN,
        max=MAX_STEPS,
        tooltip="Steps from noise to picture: more take longer. 0 is the model's own number.",
    )


def guidance_input() -> io.Float.Input:
    return io.Float.Input(
        "guidance_scale",
        default=float(OWN),
        min=float(OWN),
        max=MAX_GUIDANCE,
        step=0.5,
        tooltip="How closely the prompt is followed. 0 is the model's own value; 1 is without "
        "guidance, which is quicker.",
    )


def seed_input() -> io.Int.Input:
    return io.Int.Input(
        "seed",
        default=0,
        min=0,
        max=MAX_SEED,
        control_after_generate=True,
        tooltip="The same seed and settings give the same picture again.",
    )


def scheduler_input() -> io.Combo.Input:
    return io.Combo.Input(
        "scheduler",
        options=[AUTO, *SCHEDULERS],
        default=AUTO,
        tooltip="How the steps are made. auto is the model's own.",
    )


def strength_input(default: float) -> io.Float.Input:
    return io.Float.Input(
        "strength",
        default=default,
        min=0.05,
        max=1.0,
        step=0.05,
        tooltip="How far from what was there: small stays close to it, 1 starts from noise alone.",
    )


def count_input() -> io.Int.Input:
    return io.Int.Input(
        "num_images_per_prompt",
        default=1,
        min=1,
        max=MAX_IMAGES,
        tooltip="How many pictures. Each has a seed of its own: seed, seed + 1, and so on.",
    )


def record_prompt_input() -> io.Boolean.Input:
    return io.Boolean.Input(
        "record_prompt",
        default=True,
        tooltip="Write the prompts into the saved file's record. The workflow that ComfyUI puts "
        "into the file holds them too.",
    )


def made_outputs() -> list[io.Output]:
    return [
        io.Image.Output("made", display_name="image", tooltip="The picture."),
        ProvenanceSocket.Output(
            "record",
            display_name="provenance",
            tooltip="How the picture was made, for Save Colourised Photo.",
        ),
        io.Int.Output("used_seed", display_name="seed", tooltip="The seed of the first picture."),
    ]


def check_scheduler(scheduler: str | None) -> bool | str:
    return check_choice("scheduler", scheduler, (AUTO, *SCHEDULERS))
