"""The drop-in node: a picture, a model name and a size, as graphs in the wild use it."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ..core.presets import DEFAULT_MODEL, DEFAULT_PRESET, MAX_SIZE, MIN_SIZE, SIZE_STEP
from ..core.settings import Settings
from ..core.treatment import Treatment, WarmTone
from .choice import check_choice
from .models import AUTO, ModelChoice, choices, find, fingerprint
from .painting import colorization, paint
from .schema import ProvenanceSocket, schema


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
                io.Image.Input("image", tooltip="The photograph: any size, any shape, any batch."),
                io.Combo.Input(
                    "model",
                    options=choices(),
                    default=DEFAULT_MODEL,
                    tooltip="ddcolor_v2 suits most photographs, ddcolor_artistic is more vivid, "
                    "ddcolor_v1 is small and quick.",
                ),
                io.Int.Input(
                    "size",
                    default=DEFAULT_PRESET.size,
                    min=MIN_SIZE,
                    max=MAX_SIZE,
                    step=SIZE_STEP,
                    tooltip="Long side, in pixels, of what the network sees: 448-704 suits "
                    "people, 768-1280 buildings. The result keeps the photograph's own size.",
                ),
                io.Boolean.Input(
                    "preview",
                    default=False,
                    optional=True,
                    tooltip="Work without a model: the picture becomes a warm-tone preview, "
                    "which is not colourisation and is marked so.",
                ),
            ],
            outputs=[
                io.Image.Output("color", display_name="image", tooltip="The coloured photograph."),
                ProvenanceSocket.Output(
                    "provenance",
                    display_name="provenance",
                    tooltip="How the colour was made, for Save Colourised Photo.",
                ),
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
            choice = ModelChoice(model, find(model), AUTO, AUTO)
            settings = Settings.from_preset(DEFAULT_PRESET, size=size)
            treatment = colorization(choice, settings, DEFAULT_PRESET.id)
        painted = paint(image, treatment, cls.hidden.unique_id)
        return io.NodeOutput(painted.image, painted.provenance)
