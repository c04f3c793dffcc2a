"""Inputs and outputs that several nodes have, each worded once."""

from __future__ import annotations

from comfy_api.latest import io

from ..core.presets import (
    BUILDING,
    DEFAULT_MODEL,
    DEFAULT_PRESET,
    MAX_SIZE,
    MIN_SIZE,
    PORTRAIT,
    SIZE_STEP,
)
from .models import choices
from .schema import ProvenanceSocket


def image_input() -> io.Image.Input:
    return io.Image.Input("image", tooltip="The photograph: any size, any shape, any batch.")


def model_input() -> io.Combo.Input:
    return io.Combo.Input(
        "model",
        options=choices(),
        default=DEFAULT_MODEL,
        tooltip="ddcolor_v2 suits most photographs, ddcolor_artistic is more vivid, "
        "ddcolor_v1 is small and quick.",
    )


def size_input() -> io.Int.Input:
    people, houses = ("{}-{}".format(*kind.size_range) for kind in (PORTRAIT, BUILDING))
    return io.Int.Input(
        "size",
        default=DEFAULT_PRESET.size,
        min=MIN_SIZE,
        max=MAX_SIZE,
        step=SIZE_STEP,
        tooltip=f"Long side, in pixels, of what the network sees: {people} suits people, "
        f"{houses} buildings. The result keeps the photograph's own size.",
    )


def preview_input() -> io.Boolean.Input:
    return io.Boolean.Input(
        "preview",
        default=False,
        optional=True,
        tooltip="Work without a model: the picture becomes a warm-tone preview, "
        "which is not colourisation and is marked so.",
    )


def earlier_input() -> io.Custom.Input:
    return ProvenanceSocket.Input(
        "provenance",
        optional=True,
        tooltip="What was done to the picture before, so that the saved file tells it too.",
    )


def image_output() -> io.Image.Output:
    return io.Image.Output("color", display_name="image", tooltip="The coloured photograph.")


def provenance_output() -> io.Custom.Output:
    return ProvenanceSocket.Output(
        "record",
        display_name="provenance",
        tooltip="How the colour was made, for Save Colourised Photo.",
    )
