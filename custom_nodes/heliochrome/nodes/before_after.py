"""The node that puts a photograph and its result side by side."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ..core.before_after import side_by_side
from .host import notify
from .schema import schema
from .tensors import Pictures, from_image, to_image


class HeliochromeBeforeAfter(io.ComfyNode):
    """Two IMAGEs of one size -> one IMAGE that shows both."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="HeliochromeBeforeAfter",
            display_name="Before and After",
            description="Puts a photograph and its coloured result into one picture: before on the "
            "left, after on the right, or one above the other if they are wide.",
            search_aliases=["compare", "pair", "side by side", "对比"],
            inputs=[
                io.Image.Input("before", tooltip="The photograph as it was."),
                io.Image.Input("after", tooltip="The coloured photograph, of the same size."),
            ],
            outputs=[
                io.Image.Output("pair", display_name="pair", tooltip="Both in one picture."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(cls, before: torch.Tensor, after: torch.Tensor) -> io.NodeOutput:
        pictures = [from_image(image) for image in (before, after)]
        notify(cls.hidden.unique_id, pictures[0].notices or pictures[1].notices)
        pair = side_by_side(*(picture.color for picture in pictures))
        return io.NodeOutput(to_image(Pictures(pair, None)))
