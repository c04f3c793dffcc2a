"""A request and a model brought together: every blank filled in, everything checked."""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ..core.errors import BadSetting
from ..core.extent import Extent
from ..core.notices import Notice
from .model import LCM_STEPS, DiffusionModel
from .prompts import TokenCount, shorten
from .request import MAX_PIXELS, MAX_SEED, MAX_SIDE, GenerationRequest, following

STRENGTH: Final = {"image-to-image": 0.8, "inpaint": 1.0}  # diffusers' defaults
_SHOWN: Final = 120  # characters of what was dropped that a notice shows


@dataclass(frozen=True)
class Settled:
    """What is run. request: as asked, blanks filled in. prompt, negative: what the model is
    given. steps: those of one picture, after `strength`. guided: whether guidance is used."""

    request: GenerationRequest
    extent: Extent
    scheduler: str
    steps: int
    prompt: str
    negative: str
    guided: bool
    notices: tuple[Notice, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """One for each picture, so that each can be made again alone."""
        first = self.request.seed or 0
        count = self.request.num_images_per_prompt
        return tuple(following(first, number) for number in range(count))


def settle(request: GenerationRequest, model: DiffusionModel, count: TokenCount) -> Settled:
    """Raises BadSetting for what this model cannot do."""
    _require_mode(request, model)
    extent = _extent(request, model)
    scheduler = request.scheduler or model.scheduler
    if (why := model.scheduler_config.objection(scheduler)) is not None:
        raise BadSetting(
            f"the scheduler {scheduler} does not suit {model.name}: {why}. "
            f"Choose {model.scheduler}, the model's own."
        )
    steps = request.num_inference_steps or (
        LCM_STEPS if scheduler == "lcm" else model.default_steps
    )
    strength = request.strength or STRENGTH.get(request.mode)
    guidance = model.default_guidance if request.guidance_scale is None else request.guidance_scale
    # As OpenVINO GenAI sees it, in float32.
    guided = bool(np.float32(guidance) > 1)
    _require_guidance(guidance, guided, model)
    notices = []
    if request.image is not None and Extent.of(request.image.shape) != extent:
        notices.append(_resized(Extent.of(request.image.shape), extent))
    prompt, dropped = shorten(request.prompt, model.max_tokens, count)
    if dropped:
        notices.append(_shortened("prompt", dropped, model))
    negative = request.negative_prompt
    if negative and (model.lcm or not guided):
        negative = ""
        notices.append(_without_negative(guidance, model))
    negative, dropped = shorten(negative, model.max_tokens, count)
    if dropped:
        notices.append(_shortened("negative_prompt", dropped, model))
    return Settled(
        request=replace(
            request,
            width=extent.width,
            height=extent.height,
            num_inference_steps=steps,
            guidance_scale=guidance,
            strength=strength,
            seed=secrets.randbelow(MAX_SEED + 1) if request.seed is None else request.seed,
            scheduler=scheduler,
        ),
        extent=extent,
        scheduler=scheduler,
        steps=model.scheduler_config.steps(scheduler, steps, strength or 1.0),
        prompt=prompt,
        negative=negative,
        guided=guided,
        notices=tuple(notices),
    )


def _require_mode(request: GenerationRequest, model: DiffusionModel) -> None:
    if request.mode in model.modes:
        return
    if model.modes == ("inpaint",):
        raise BadSetting(
            f"{model.name} only repaints parts of a picture: give an image and a mask, or choose "
            "another model."
        )
    raise BadSetting(
        f"{model.name} only makes pictures from text, because it has no vae_encoder: leave the "
        "image out, or get the whole model."
    )


def _require_guidance(guidance: float, guided: bool, model: DiffusionModel) -> None:
    if model.needs_guidance and not guided:
        raise BadSetting(
            f"guidance_scale must be more than 1 with {model.name}, got {guidance:g}: it was "
            "converted for guidance only."
        )
    if model.without_guidance and guided:
        raise BadSetting(
            f"guidance_scale may be at most 1 with {model.name}, got {guidance:g}: it was "
            "converted without guidance."
        )


def _extent(request: GenerationRequest, model: DiffusionModel) -> Extent:
    width, height = request.width, request.height
    if model.fixed is not None:
        extent = Extent(width or model.fixed.width, height or model.fixed.height)
        if extent != model.fixed:
            raise BadSetting(
                f"{model.name} only makes pictures of {model.fixed}, got {extent}: leave width "
                "and height out."
            )
        return extent
    if request.image is not None and width is None and height is None:
        return _of_image(Extent.of(request.image.shape), model.size_step)
    native = _aspect(request, model)
    extent = Extent(width or native.width, height or native.height)
    _require_steps("width", extent.width, model)
    _require_steps("height", extent.height, model)
    if extent.pixels > MAX_PIXELS:
        raise BadSetting(
            f"width x height may be at most {MAX_PIXELS} pixels, got {extent}: ask for a smaller "
            "picture."
        )
    return extent


def _of_image(own: Extent, step: int) -> Extent:
    """The picture's size in whole steps; within the limits, if it is beyond them."""
    scale = min(1.0, MAX_SIDE / max(own.width, own.height), math.sqrt(MAX_PIXELS / own.pixels))
    longest = max(step, round(max(own.width, own.height) * scale / step) * step)
    while own.fit(longest, step).pixels > MAX_PIXELS:
        longest -= step
    return own.fit(longest, step)


def _aspect(request: GenerationRequest, model: DiffusionModel) -> Extent:
    """For the side that was not asked for: the picture's aspect, else the model's own size."""
    if request.image is None:
        return model.native
    own, step = Extent.of(request.image.shape), model.size_step

    def side(given: int | None, along: int, across: int) -> int:
        return max(step, round((given or 0) * across / along / step) * step)

    return Extent(
        side(request.height, own.height, own.width), side(request.width, own.width, own.height)
    )


def _require_steps(name: str, side: int, model: DiffusionModel) -> None:
    step = model.size_step
    if side % step:
        nearest = max(step, round(side / step) * step)
        raise BadSetting(
            f"{name} must be a multiple of {step} with {model.name}, got {side}: use {nearest}."
        )


def _resized(own: Extent, extent: Extent) -> Notice:
    return Notice(
        "diffusion-image-resized",
        f"The picture of {own} was resized to {extent}, the size that is made.",
        {"given": str(own), "used": str(extent)},
    )


def _shortened(field: str, dropped: str, model: DiffusionModel) -> Notice:
    shown = dropped if len(dropped) <= _SHOWN else f"{dropped[:_SHOWN]}..."
    return Notice(
        "diffusion-prompt-shortened",
        f"The {field} is longer than the {model.max_tokens} tokens that the model reads. "
        f"Left out: {shown}",
        {"field": field, "tokens": model.max_tokens, "dropped": shown},
    )


def _without_negative(guidance: float, model: DiffusionModel) -> Notice:
    if model.lcm:
        return Notice(
            "diffusion-negative-unused-lcm",
            "The negative prompt was not used: a latent consistency model has none.",
        )
    return Notice(
        "diffusion-negative-unused",
        f"The negative prompt was not used: it needs a guidance_scale of more than 1, and it is "
        f"{guidance:g}.",
        {"guidance": f"{guidance:g}"},
    )
