"""The body of a request into the task and its fields; nothing is decoded or opened here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, NoReturn

from ..core.errors import BadSetting, nearest, shown
from ..core.presets import DEFAULT_PRESET
from ..core.recipe import Recipe
from ..core.settings import Settings
from ..diffusion.request import MODES, GenerationRequest
from .refusals import Refusal
from .request import HandlerRequest

COLORIZE: Final = "colorize"
TASKS: Final = (*MODES, COLORIZE)
Task = Literal["text-to-image", "image-to-image", "inpaint", "colorize"]

_FIELDS: Final = {f.name for kind in (GenerationRequest, Settings) for f in fields(kind)}
_OWN: Final = ("task", "image", "mask")
_ALIKE: Final = 0.75
_MOST_FIELDS: Final = 50  # several times what there are
# There is no reference picture here, so nothing to take an amount of.
_RECIPE: Final = tuple(f.name for f in fields(Settings) if f.name != "reference_amount")


@dataclass(frozen=True)
class Asked:
    """image, mask: base64 or an address, as they came. fields: all else but the task."""

    task: Task
    fields: Mapping[str, Any]
    image: str | None = None
    mask: str | None = None


def read_body(request: HandlerRequest, most_bytes: int) -> Asked:
    """Raises Refusal and BadSetting; the fields themselves are checked by who takes them."""
    if request.method.upper() != "POST":
        raise Refusal("method_not_allowed", f"Expected POST, got {shown(request.method)}.")
    kind = (request.content_type or "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise Refusal(
            "unsupported_media_type",
            f"Expected a JSON object with content-type application/json, got {shown(kind)}. "
            "Pictures are sent in it as base64.",
        )
    if len(request.body) > most_bytes:
        raise Refusal(
            "request_too_large",
            f"The request has {len(request.body)} bytes; at most {most_bytes} are taken. Put the "
            "picture into a bucket that this function may read, and give its s3:// address.",
        )
    return _asked(_document(request.body))


def _document(body: bytes) -> dict[str, Any]:
    def refuse_constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is not JSON")

    try:
        found = json.loads(body.decode(), parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Refusal("bad_request", f"Expected a JSON object in UTF-8: {error}.") from error
    if not isinstance(found, dict):
        raise Refusal(
            "bad_request", f"Expected a JSON object, got {type(found).__name__}: write {{...}}."
        )
    return found


def _asked(document: dict[str, Any]) -> Asked:
    if len(document) > _MOST_FIELDS:
        raise BadSetting(f"at most {_MOST_FIELDS} fields are taken, got {len(document)}.")
    values = dict(document)
    image, mask = _picture(values, "image"), _picture(values, "mask")
    implied = _implied(values, image, mask)
    task = values.pop("task", None)
    _require_known(values)
    if task is None:
        return Asked(implied, values, image, mask)
    if task not in TASKS:
        raise BadSetting(f"task must be one of {', '.join(TASKS)}, got {shown(task)}.")
    if task == COLORIZE:
        if mask is not None:
            raise BadSetting("a mask has no effect on colorize: leave it out.")
        return Asked(COLORIZE, values, image)
    if task != implied and implied != COLORIZE:
        raise BadSetting(
            f"task is {task}, but the pictures that were given are those of {implied}: "
            "image-to-image needs an image, inpaint an image and a mask, text-to-image none."
        )
    return Asked(task, values, image, mask)


def _implied(values: Mapping[str, Any], image: str | None, mask: str | None) -> Task:
    """A prompt asks for a generation, of the kind that its pictures tell; none for colour."""
    if image is not None and mask is None and values.get("prompt") is None:
        return COLORIZE
    if image is None:
        if mask is not None:
            raise BadSetting("a mask was given without an image: give the picture it belongs to.")
        return "text-to-image"
    return "image-to-image" if mask is None else "inpaint"


def _picture(values: dict[str, Any], name: str) -> str | None:
    found = values.pop(name, None)
    if found is not None and not isinstance(found, str):
        raise BadSetting(
            f"{name} must be a text, base64 or an s3:// address, got {type(found).__name__}."
        )
    return found


def _require_known(values: Mapping[str, Any]) -> None:
    """The fields of each task are checked by who takes them, but these they do not know of."""
    for name in values.keys() - _FIELDS:
        near = nearest(name, _OWN, _ALIKE)
        if near is not None:
            raise BadSetting(f"there is no field {shown(name)}: did you mean {near}?")


def recipe_of(values: Mapping[str, Any]) -> Recipe:
    """The fields of a colorize request: `preset`, and those of `core.settings.Settings`.

    null counts as left out. Raises BadSetting for an unknown field, naming the nearest.
    """
    given = {name: value for name, value in values.items() if value is not None}
    preset = given.pop("preset", DEFAULT_PRESET.id)
    for name in given:
        if name not in _RECIPE:
            known = ("preset", *_RECIPE)
            raise BadSetting(
                f"there is no field {shown(name)} for colorize: did you mean "
                f"{nearest(name, known)}? "
                f"Known are image, {', '.join(known)}."
            )
    if not isinstance(preset, str):
        raise BadSetting(f"preset must be a name, got {shown(preset)}.")
    reference_mode = given.get("reference_mode", False)
    if not isinstance(reference_mode, bool):
        raise BadSetting(f"reference_mode must be true or false, got {shown(reference_mode)}.")
    useless = [name for name in given if name not in ("size", "reference_mode")]
    if reference_mode and useless:
        raise BadSetting(
            "reference_mode reproduces the original, so these have no effect with it: "
            f"{', '.join(useless)}. Leave them out."
        )
    return Recipe(preset, given)
