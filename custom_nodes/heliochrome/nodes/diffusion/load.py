"""The node that picks a Stable Diffusion model and how to run it."""

from __future__ import annotations

from comfy_api.latest import io

from ...core.backends import AUTO
from ...diffusion.lora import MAX_ALPHA
from ...diffusion.runtime import DEVICES
from ..choice import check_choice
from ..schema import DIFFUSION_CATEGORY, DiffusionSocket, schema
from .engines import engines
from .models import NO_LORA, choices, choose, fingerprint, lora_choices


class HeliochromeLoadDiffusion(io.ComfyNode):
    """model name -> HELIOCHROME_DIFFUSION, opened once so that a bad folder is reported here.

    The socket carries a `DiffusionChoice`.
    """

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            DIFFUSION_CATEGORY,
            node_id="HeliochromeLoadDiffusion",
            display_name="Load Stable Diffusion (OpenVINO)",
            description="Opens a Stable Diffusion model in OpenVINO's format from "
            "models/openvino_diffusion or the Heliochrome cache.",
            search_aliases=["stable diffusion", "openvino", "checkpoint", "加载模型"],
            inputs=[
                io.Combo.Input(
                    "model",
                    options=choices(),
                    default=AUTO,
                    tooltip="The model's folder. auto is the first there is.",
                ),
                io.Combo.Input(
                    "device",
                    options=list(DEVICES),
                    default=DEVICES[0],
                    tooltip="Where OpenVINO runs it: CPU, or an Intel GPU or NPU.",
                ),
                io.Combo.Input(
                    "lora",
                    options=lora_choices(),
                    default=NO_LORA,
                    optional=True,
                    tooltip="A LoRA file from models/loras that was made for this kind of model.",
                ),
                io.Float.Input(
                    "lora_alpha",
                    default=1.0,
                    min=-MAX_ALPHA,
                    max=MAX_ALPHA,
                    step=0.05,
                    optional=True,
                    tooltip="How strongly the LoRA counts.",
                ),
            ],
            outputs=[
                DiffusionSocket.Output(
                    "diffusion",
                    display_name="diffusion",
                    tooltip="The model, for Text to Image, Image to Image and Repaint Masked Area.",
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, model: str | None = None, device: str | None = None) -> bool | str:
        # A model that is not here is told when the node runs, with how to get it.
        return check_choice("device", device, DEVICES)

    @classmethod
    def fingerprint_inputs(
        cls, model: str | None = None, lora: str | None = None, **others: object
    ) -> str:
        return fingerprint(model, lora)

    @classmethod
    def execute(
        cls, model: str, device: str, lora: str = NO_LORA, lora_alpha: float = 1.0
    ) -> io.NodeOutput:
        choice = choose(model, device, lora, lora_alpha)
        engines.open(choice)
        return io.NodeOutput(choice)
