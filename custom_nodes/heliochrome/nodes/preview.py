"""The node that tones a photograph while there is no model: a preview, never called colour."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ..core.treatment import WarmTone
from .painting import paint
from .schema import ProvenanceSocket, schema
from .widgets import image_input


class HeliochromeWarmTonePreview(io.ComfyNode):
    """IMAGE -> warm-toned IMAGE and a provenance of kind "preview"."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="HeliochromeWarmTonePreview",
            display_name="Warm-tone Preview",
            description="Tones a photograph warmly without any model, to try a graph out. "
            "This is not colourisation, and the saved file says so.",
            search_aliases=["sepia", "preview", "暖色", "预览"],
            inputs=[image_input()],
            outputs=[
                io.Image.Output("toned", display_name="image", tooltip="The toned photograph."),
                ProvenanceSocket.Output(
                    "provenance",
                    display_name="provenance",
                    tooltip="Marks the file as a preview in Save Colourised Photo.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(cls, image: torch.Tensor) -> io.NodeOutput:
        painted = paint(image, WarmTone(), cls.hidden.unique_id)
        return io.NodeOutput(painted.image, painted.provenance)
