"""Pictures on their way back: in the answer, or in a bucket where they are too large for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from . import objects
from .deadline import Deadline
from .places import Place
from .refusals import Refusal
from .request import HandlerRequest
from .responses import ID_HEADER, JSON_TYPE, HandlerResponse, json_response, pictures_response
from .settings import HandlerSettings
from .work import Made, Picture

_PRIVATE: Final = ("prompt", "negative_prompt")  # headers are logged by many a proxy


def answer(
    made: Made,
    request: HandlerRequest,
    wanted: str | None,
    settings: HandlerSettings,
    cancel: Deadline,
) -> HandlerResponse:
    """200 with the picture (`wanted`) or with JSON; 303 to the picture where it is too large
    for the first. Raises Refusal: too large for both, or storage failed."""
    inline = sum(_in_base64(len(picture.file)) for picture in made.pictures)
    if inline <= settings.max_response_bytes:
        response = _picture(made, request) if wanted else _json(made, request)
        if _on_the_wire(response) <= settings.max_response_bytes:
            return response
    if settings.output is None:
        raise Refusal(
            "response_too_large",
            f"The result needs {inline} bytes as base64; at most {settings.max_response_bytes} "
            "can be answered. Ask for a smaller or for fewer pictures; or let the operator name "
            "a bucket with HELIOCHROME_OUTPUT, to which a link is then given.",
        )
    places = _stored(made, request, settings.output, cancel)
    images = [
        {
            **_about(picture),
            "url": objects.link(place, settings.output_seconds, cancel),
            "expires_in": settings.output_seconds,
        }
        for picture, place in zip(made.pictures, places, strict=True)
    ]
    document = {"request_id": request.request_id, "images": images, **made.about()}
    if not wanted:
        return json_response(200, document, {ID_HEADER: request.request_id})
    headers = {ID_HEADER: request.request_id, "location": images[0]["url"]}
    return json_response(303, document, headers)


def stored_before(
    request: HandlerRequest, settings: HandlerSettings, cancel: Deadline
) -> HandlerResponse | None:
    """The answer to an earlier delivery of the same request. Raises Refusal."""
    found = objects.read(_record(request, _output(settings)), cancel)
    return None if found is None else json_response(200, json.loads(found))


def keep(
    made: Made, request: HandlerRequest, settings: HandlerSettings, cancel: Deadline
) -> HandlerResponse:
    """Store pictures, and then the answer, so that it is there only when they are."""
    output = _output(settings)
    places = _stored(made, request, output, cancel)
    images = [
        {**_about(picture), "address": str(place)}
        for picture, place in zip(made.pictures, places, strict=True)
    ]
    document = {"request_id": request.request_id, "images": images, **made.about()}
    response = json_response(200, document, {ID_HEADER: request.request_id})
    objects.store(_record(request, output), response.body, JSON_TYPE, cancel)
    return response


def _output(settings: HandlerSettings) -> Place:
    if settings.output is None:
        raise Refusal(
            "not_configured",
            "Nobody waits for this answer, and HELIOCHROME_OUTPUT names no bucket to put it into.",
        )
    return settings.output


def _record(request: HandlerRequest, output: Place) -> Place:
    return output.below(f"{request.request_id}.json")


def _stored(made: Made, request: HandlerRequest, output: Place, cancel: Deadline) -> list[Place]:
    places = []
    for number, picture in enumerate(made.pictures, 1):
        place = output.below(f"{request.request_id}-{number}{picture.suffix}")
        objects.store(place, picture.file, picture.mime_type, cancel)
        places.append(place)
    return places


def _json(made: Made, request: HandlerRequest) -> HandlerResponse:
    document = {"request_id": request.request_id, **made.about()}
    pictures = ((_about(picture), picture.file) for picture in made.pictures)
    return pictures_response(pictures, document, {ID_HEADER: request.request_id})


def _picture(made: Made, request: HandlerRequest) -> HandlerResponse:
    picture = made.pictures[0]
    public = {name: value for name, value in made.settings.items() if name not in _PRIVATE}
    headers = {
        "content-type": picture.mime_type,
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        ID_HEADER: request.request_id,
        "x-heliochrome-task": made.task,
        "x-heliochrome-model": quote(made.provenance.model or ""),
        "x-heliochrome-settings": json.dumps(public),
        "x-heliochrome-notices": ",".join(notice["code"] for notice in made.notices),
    }
    if picture.seed is not None:
        headers["x-heliochrome-seed"] = str(picture.seed)
    return HandlerResponse(200, picture.file, headers)


def _about(picture: Picture) -> Mapping[str, Any]:
    about = {
        "mime_type": picture.mime_type,
        "width": picture.width,
        "height": picture.height,
    }
    return about if picture.seed is None else {**about, "seed": picture.seed}


def _in_base64(size: int) -> int:
    return -(-size // 3) * 4


def _on_the_wire(response: HandlerResponse) -> int:
    """Bytes of the body once a platform has put it into JSON of its own."""
    if not response.is_json:
        return _in_base64(len(response.body))
    return len(response.body) + response.body.count(b'"') + response.body.count(b"\\")
