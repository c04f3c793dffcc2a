"""A node that the tests add to the host: upstream nodes give values that no picture should have."""

from __future__ import annotations

import torch
from comfy_api.latest import ComfyExtension, io


class OddValue(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="OddValue",
            category="tests",
            inputs=[io.Image.Input("image"), io.String.Input("value")],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, image: torch.Tensor, value: str) -> io.NodeOutput:
        changed = image.clone()
        changed[:, :8, :8] = float(value)
        return io.NodeOutput(changed)


class OddValueExtension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [OddValue]


async def comfy_entrypoint() -> ComfyExtension:
    return OddValueExtension()
