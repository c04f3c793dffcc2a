"""The drop-in node: a picture, a model name and a size, as graphs in the wild use it."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ..core.presets import DEFAULT_PRESET
from ..core.recipe import Recipe
from ..core.treatment import Treatment, WarmTone
from .choice import check_choice
from .models import ModelChoice, choices, find, fingerprint
from .painting import colorization, paint
from .schema import schema
from .widgets import (
    image_input,
    image_output,
    model_input,
    preview_input,
    provenance_output,
    size_input,
)


class DDColorColorize(io.ComfyNode):
    """IMAGE -> colourised IMAGE with the default preset; the class_type is `DDColor-ddcolorize`."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="DDColor-ddcolorize",
            display_name="DDColor Colourise (simple)",
            description="Gives a grey photograph natural colour with one model and one size. "
            "Colourise Photo has all settings.",
            search_aliases=["colorize", "ddcolor", "black and white", "上色", "黑白修复"],
            inputs=[
                image_input(),
                model_input(),
                size_input(),
                preview_input(),
            ],
            outputs=[
                image_output(),
                provenance_output(),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, model: str | None = None) -> bool | str:
        return check_choice("model", model, choices())

    @classmethod
    def fingerprint_inputs(cls, model: str | None = None, **others: object) -> str:
        return fingerprint(model)

    @classmethod
    def execute(
        cls, image: torch.Tensor, model: str, size: int, preview: bool = False
    ) -> io.NodeOutput:
        if preview:
            treatment: Treatment = WarmTone()
        else:
            choice = ModelChoice(model, find(model))
            treatment = colorization(choice, Recipe(DEFAULT_PRESET.id, {"size": size}))
        painted = paint(image, treatment, cls.hidden.unique_id)
        return io.NodeOutput(painted.image, painted.provenance)
