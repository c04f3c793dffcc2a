"""The node that picks a DDColor model and how to run it."""

from __future__ import annotations

from comfy_api.latest import io

from ..core.backends import AUTO, BACKENDS, DEVICES, PRECISIONS
from ..core.treatment import WarmTone
from .choice import check_choice
from .models import ModelChoice, choices, find, fingerprint
from .networks import networks
from .schema import ModelSocket, schema
from .widgets import model_input, preview_input


class HeliochromeLoadDDColor(io.ComfyNode):
    """model name -> HELIOCHROME_MODEL, opened once so that a bad file is reported here.

    The socket carries a `ModelChoice`, or the core's `WarmTone` if a preview is wanted.
    """

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="HeliochromeLoadDDColor",
            display_name="Load DDColor Model",
            description="Opens a DDColor model from models/ddcolor or the Heliochrome cache.",
            search_aliases=["ddcolor", "colorize", "上色", "加载模型"],
            inputs=[
                model_input(),
                io.Combo.Input(
                    "backend",
                    options=[AUTO, *BACKENDS],
                    default=AUTO,
                    tooltip="What runs the network. auto takes the one that fits the model file.",
                ),
                io.Combo.Input(
                    "device",
                    options=list(DEVICES),
                    default=AUTO,
                    tooltip="Where the network runs. auto follows ComfyUI.",
                ),
                preview_input(),
                io.Combo.Input(
                    "precision",
                    options=list(PRECISIONS),
                    default=AUTO,
                    optional=True,
                    tooltip="Of the network's arithmetic. auto is exact on the processor; bf16 is "
                    "quicker where the machine has it, int8 may be; both change colours slightly.",
                ),
            ],
            outputs=[
                ModelSocket.Output(
                    "ddcolor",
                    display_name="ddcolor",
                    tooltip="The model, for Colourise Photo.",
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, model: str | None = None) -> bool | str:
        return check_choice("model", model, choices())

    @classmethod
    def fingerprint_inputs(cls, model: str | None = None, **others: object) -> str:
        return fingerprint(model)

    @classmethod
    def execute(
        cls, model: str, backend: str, device: str, preview: bool = False, precision: str = AUTO
    ) -> io.NodeOutput:
        if preview:
            return io.NodeOutput(WarmTone())
        choice = ModelChoice(model, find(model), backend, device, precision)
        networks.open(choice)
        return io.NodeOutput(choice)
