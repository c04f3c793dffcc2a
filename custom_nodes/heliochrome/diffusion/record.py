"""What a file says of a picture that a diffusion model made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final

from ..core.extent import Extent
from ..core.notices import Notice
from ..core.provenance import Parameter, Provenance
from ..core.source_types import Kind
from .repair import Blending
from .request import Mode

if TYPE_CHECKING:
    from .engine import Generated
    from .lora import AppliedLora

_KINDS: Final[Mapping[Mode, Kind]] = {
    "text-to-image": "generation",
    "image-to-image": "variation",
    "inpaint": "inpainting",
}
_PROMPTS: Final = ("prompt", "negative_prompt")
_QUOTING: Final = {"diffusion-prompt-shortened"}  # notices that repeat the user's words
_SETTINGS: Final = (
    "width",
    "height",
    "num_inference_steps",
    "guidance_scale",
    "strength",
    "scheduler",
)


def record(
    generated: Sequence[Generated],
    *,
    device: str,
    sha256: str | None,
    prompts: bool = True,
    notices: Sequence[Notice] = (),
) -> Provenance:
    """The record of what one or more requests with the same settings made.

    sha256: of the model, see `sources.digest`. prompts: record them too, as the user may want in
    files of their own; a service must not by itself. Without them notices that quote them are
    left out as well. notices: those of the requests come after these. Where sizes differ those
    of the first are told.
    """
    request = generated[0].request
    names = (*_PROMPTS, *_SETTINGS) if prompts else _SETTINGS
    values = {name: getattr(request, name) for name in names}
    seeds = [seed for made in generated for seed in made.seeds]
    parameters: dict[str, Parameter] = {
        **{name: value for name, value in values.items() if value is not None},
        **_of_loras(generated[0].loras),
        "seed": seeds[0],
        "device": device,
    }
    if len(seeds) > 1:
        parameters["seeds"] = " ".join(map(str, seeds))
    told = [*notices, *(notice for made in generated for notice in made.notices)]
    if not prompts:
        told = [notice for notice in told if notice.code not in _QUOTING]
    return Provenance(
        kind=_KINDS[request.mode],
        model=generated[0].model,
        model_sha256=sha256,
        parameters=parameters,
        notices=tuple(dict.fromkeys(notice.text for notice in told)),
        when=datetime.now(timezone.utc),
    )


def _of_loras(loras: Sequence[AppliedLora]) -> dict[str, Parameter]:
    """lora, lora_alpha, lora_sha256 of the first; lora_2, lora_2_alpha ... of the second."""
    told: dict[str, Parameter] = {}
    for number, lora in enumerate(loras, 1):
        name = "lora" if number == 1 else f"lora_{number}"
        told |= {name: lora.name, f"{name}_alpha": lora.alpha, f"{name}_sha256": lora.sha256}
    return told


def record_of_repair(
    generated: Sequence[Generated],
    *,
    extent: Extent,
    blending: Blending,
    device: str,
    sha256: str | None,
    prompts: bool = True,
    notices: Sequence[Notice] = (),
) -> Provenance:
    """The record of a repair, of which each region was a request. extent: the photograph's.

    For the rest see `record`.
    """
    made = record(generated, device=device, sha256=sha256, prompts=prompts, notices=notices)
    parameters: dict[str, Parameter] = {
        **made.parameters,
        "width": extent.width,
        "height": extent.height,
        "context": blending.context,
        "feather": blending.feather,
        "regions": len(generated),
    }
    return replace(made, parameters=parameters)
