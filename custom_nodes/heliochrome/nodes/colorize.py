"""The full colourising node: every setting of the pipeline."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ..core.presets import (
    AUTO_PRESET,
    CHROMA_GUIDES,
    DEFAULT_PRESET,
    ENSEMBLES,
    PRESETS,
    RANGES,
    TUNABLE,
    ChromaGuide,
)
from ..core.provenance import Provenance
from ..core.recipe import Recipe
from ..core.treatment import Treatment, WarmTone
from .choice import check_choice
from .guiding import guidance
from .models import ModelChoice
from .painting import colorization, paint
from .schema import ModelSocket, schema
from .widgets import earlier_input, image_input, image_output, provenance_output, size_input


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
                        options=[AUTO_PRESET, *PRESETS],
                        default=DEFAULT_PRESET.id,
                        tooltip="The kind of photograph. Choosing one sets the values below and "
                        "how crisp colour edges are. auto looks at each photograph, takes one of "
                        "the others and says why; size, chroma_limit and skin_guard are then "
                        "upper bounds.",
                    )
                ),
                size_input(),
                io.Float.Input(
                    "strength",
                    default=DEFAULT_PRESET.strength,
                    **_bounds("strength"),
                    step=0.05,
                    tooltip="0 leaves the photograph grey, 1 gives the full colour.",
                ),
                io.Float.Input(
                    "saturation",
                    default=DEFAULT_PRESET.saturation,
                    **_bounds("saturation"),
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
                io.Float.Input(
                    "chroma_limit",
                    default=DEFAULT_PRESET.chroma_limit,
                    **_bounds("chroma_limit"),
                    step=1.0,
                    optional=True,
                    tooltip="The chroma (CIE Lab) that no colour exceeds: smaller tames colour "
                    "patches.",
                ),
                io.Int.Input(
                    "ensemble",
                    default=DEFAULT_PRESET.ensemble,
                    min=min(ENSEMBLES),
                    max=max(ENSEMBLES),
                    step=2,
                    optional=True,
                    tooltip="Forward passes at as many sizes, whose median colour is taken: 3 or 5 "
                    "are steadier and slower.",
                ),
                io.Float.Input(
                    "skin_guard",
                    default=DEFAULT_PRESET.skin_guard,
                    **_bounds("skin_guard"),
                    step=0.05,
                    optional=True,
                    tooltip="Finds faces and brings improbable skin colours back. 0 is off. "
                    "Brightness never changes.",
                ),
                io.Image.Input(
                    "reference",
                    optional=True,
                    tooltip="A colour picture of a similar scene, whose colours are taken over.",
                ),
                io.Float.Input(
                    "reference_amount",
                    default=DEFAULT_PRESET.reference_amount,
                    **_bounds("reference_amount"),
                    step=0.05,
                    optional=True,
                    tooltip="How far the colours of the reference are taken over.",
                ),
                io.Image.Input(
                    "hints",
                    optional=True,
                    tooltip="Colours that you painted over the photograph; they spread up to its "
                    "edges. Needs hint_mask.",
                ),
                io.Mask.Input(
                    "hint_mask",
                    optional=True,
                    tooltip="Where you painted: 1 on the strokes, 0 elsewhere.",
                ),
                earlier_input(),
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
        return check_choice("preset", preset, (AUTO_PRESET, *PRESETS))

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
        chroma_limit: float | None = None,
        ensemble: int | None = None,
        skin_guard: float | None = None,
        reference: torch.Tensor | None = None,
        reference_amount: float | None = None,
        hints: torch.Tensor | None = None,
        hint_mask: torch.Tensor | None = None,
        provenance: Provenance | None = None,
    ) -> io.NodeOutput:
        if isinstance(ddcolor, WarmTone):
            treatment: Treatment = ddcolor
        else:
            values = {
                "strength": strength,
                "saturation": saturation,
                "chroma_guide": chroma_guide,
                "ensemble": ensemble,
                "reference_amount": reference_amount,
            }
            bounds = {"size": size, "chroma_limit": chroma_limit, "skin_guard": skin_guard}
            treatment = colorization(
                ddcolor,
                Recipe.of_widgets(preset, values, bounds),
                guidance(reference, hints, hint_mask),
                confidence=measure_confidence,
            )
        painted = paint(image, treatment, cls.hidden.unique_id, provenance)
        return io.NodeOutput(painted.image, painted.confidence, painted.provenance)


def _bounds(field: str) -> dict[str, float]:
    least, most = RANGES[field]
    return {"min": least, "max": most}


def _with_values(preset: io.Combo.Input) -> io.Combo.Input:
    """Let the browser know what each preset stands for; web/js sets the other widgets from it."""
    values = {
        name: {widget: getattr(preset, widget) for widget in TUNABLE}
        for name, preset in PRESETS.items()
    }
    # Upper bounds that no preset reaches.
    values[AUTO_PRESET] = {name: RANGES[name][1] for name in ("size", "chroma_limit", "skin_guard")}
    preset.extra_dict["heliochrome_presets"] = values
    return preset
