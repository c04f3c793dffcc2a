"""The full colourising node: every setting of the pipeline."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ..core.presets import CHROMA_GUIDES, DEFAULT_PRESET, PRESETS, ChromaGuide
from ..core.settings import Settings
from ..core.treatment import Treatment, WarmTone
from .choice import check_choice
from .models import ModelChoice
from .painting import colorization, paint
from .schema import ModelSocket, schema
from .widgets import image_input, image_output, provenance_output, size_input


class HeliochromeColorize(io.ComfyNode):
    """IMAGE and model -> colourised IMAGE, confidence MASK, provenance."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="HeliochromeColorize",
            display_name="Colourise Photo",
            description="Gives a grey photograph natural colour. The brightness of every pixel "
            "and the full resolution are kept.",
            search_aliases=["colorize", "ddcolor", "black and white", "上色", "黑白修复"],
            inputs=[
                image_input(),
                ModelSocket.Input("ddcolor", tooltip="The model, from Load DDColor Model."),
                _with_values(
                    io.Combo.Input(
                        "preset",
                        options=list(PRESETS),
                        default=DEFAULT_PRESET.id,
                        tooltip="The kind of photograph. Choosing one sets the values below, "
                        "how crisp colour edges are and how strong a colour may get.",
                    )
                ),
                size_input(),
                io.Float.Input(
                    "strength",
                    default=DEFAULT_PRESET.strength,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="0 leaves the photograph grey, 1 gives the full colour.",
                ),
                io.Float.Input(
                    "saturation",
                    default=DEFAULT_PRESET.saturation,
                    min=0.0,
                    max=3.0,
                    step=0.05,
                    tooltip="Colourfulness: below 1 is muted, above 1 is vivid.",
                ),
                io.Combo.Input(
                    "chroma_guide",
                    options=list(CHROMA_GUIDES),
                    default=DEFAULT_PRESET.chroma_guide,
                    tooltip="How colour is brought to full resolution: joint-bilateral follows "
                    "the edges of the photograph, bicubic is smooth, nearest is the original "
                    "DDColor.",
                ),
                io.Boolean.Input(
                    "measure_confidence",
                    default=False,
                    tooltip="Also measure how sure the network is of each colour. Takes longer.",
                ),
            ],
            outputs=[
                image_output(),
                io.Mask.Output(
                    "confidence",
                    display_name="confidence",
                    tooltip="1 where the network is sure of the colour, 0 where it is not or "
                    "where it was not measured.",
                ),
                provenance_output(),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, preset: str | None = None) -> bool | str:
        return check_choice("preset", preset, PRESETS)

    @classmethod
    def execute(
        cls,
        image: torch.Tensor,
        ddcolor: ModelChoice | WarmTone,
        preset: str,
        size: int,
        strength: float,
        saturation: float,
        chroma_guide: ChromaGuide,
        measure_confidence: bool,
    ) -> io.NodeOutput:
        if isinstance(ddcolor, WarmTone):
            treatment: Treatment = ddcolor
        else:
            settings = Settings.from_preset(
                PRESETS[preset],
                size=size,
                strength=strength,
                saturation=saturation,
                chroma_guide=chroma_guide,
            )
            treatment = colorization(ddcolor, settings, preset, confidence=measure_confidence)
        painted = paint(image, treatment, cls.hidden.unique_id)
        return io.NodeOutput(painted.image, painted.confidence, painted.provenance)


def _with_values(preset: io.Combo.Input) -> io.Combo.Input:
    """Let the browser know what each preset stands for; web/js sets the other widgets from it."""
    widgets = ("size", "strength", "saturation", "chroma_guide")
    preset.extra_dict["heliochrome_presets"] = {
        name: {widget: getattr(values, widget) for widget in widgets}
        for name, values in PRESETS.items()
    }
    return preset
