"""What the core answers; adapters only carry it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .refusals import STATUS, code_of, is_the_callers

JSON_TYPE: Final = "application/json"
ID_HEADER: Final = "x-heliochrome-request-id"

# What the caller is told of an error that is not theirs; the log has the rest, under the id.
_GENERAL: Final[Mapping[str, str]] = {
    "out_of_memory": "There is not enough memory for this. Ask for a smaller size.",
    "deadline_exceeded": "The time this function is given did not suffice, and the work was "
    "stopped. Ask for fewer steps or a smaller size, or give the function more time.",
    "model_unavailable": "The model cannot be used here at the moment.",
    "not_configured": "This function has not been set up for this.",
    "storage_failed": "Object storage did not do what was asked of it. Try again.",
}
_LONGEST: Final = 1000  # characters; a message may quote what was sent
_ASK_THE_OPERATOR: Final = (
    "Something failed here that is not about your request. Whoever runs this function finds the "
    "cause in its log, under this request_id."
)


@dataclass(frozen=True)
class HandlerResponse:
    """status: HTTP's. headers: names in small letters, content-type among them.

    body: JSON in ASCII, or a picture's file. code: of the error (see `refusals.STATUS`), None
    where there was none.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    code: str | None = None

    @property
    def is_json(self) -> bool:
        """Whether the body is text; a picture has to be put into base64 by some adapters."""
        return self.headers.get("content-type") == JSON_TYPE

    def document(self) -> dict[str, Any]:
        """The body of a JSON answer."""
        found: dict[str, Any] = json.loads(self.body)
        return found


def json_response(
    status: int,
    document: Mapping[str, Any],
    headers: Mapping[str, str] = {},
    code: str | None = None,
) -> HandlerResponse:
    """An answer in JSON. In ASCII, so that its size is the same wherever it is wrapped."""
    return _as_json(status, _dumped(document), headers, code)


def pictures_response(
    pictures: Iterable[tuple[Mapping[str, Any], bytes]],
    document: Mapping[str, Any],
    headers: Mapping[str, str],
) -> HandlerResponse:
    """200 with `document` and its "images": what is said of each, and its file as "image".

    The files are put in as they are: base64 needs no escapes, and to have the JSON library look
    for some in every megabyte takes as long as to decode a photograph.
    """
    images = b",".join(
        b'%s,"image":"%s"}' % (_dumped(about)[:-1], base64.b64encode(file))
        for about, file in pictures
    )
    body = b'%s,"images":[%s]}' % (_dumped(document)[:-1], images)
    return _as_json(200, body, headers)


def _dumped(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, allow_nan=False, separators=(",", ":")).encode()


def _as_json(
    status: int, body: bytes, headers: Mapping[str, str], code: str | None = None
) -> HandlerResponse:
    about = {"content-type": JSON_TYPE, "cache-control": "no-store", **headers}
    return HandlerResponse(status, body, about, code)


def error_response(error: Exception, request_id: str) -> HandlerResponse:
    """{"error": {"code", "message", "request_id"}}.

    The message of an error that the caller cannot mend may name folders and buckets of this
    machine, so another one takes its place.
    """
    code = code_of(error)
    message = str(error) if is_the_callers(code) else _GENERAL.get(code, _ASK_THE_OPERATOR)
    headers = {ID_HEADER: request_id}
    if code == "method_not_allowed":
        headers["allow"] = "POST"
    about = {"code": code, "message": message[:_LONGEST], "request_id": request_id}
    return json_response(STATUS[code], {"error": about}, headers, code)
