"""What goes wrong, in the words that clients can rely on: one code and one HTTP status each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..core.errors import Cancelled, HeliochromeError

# Stable: clients choose by them what to do. help_docs/*/serverless.md explains each.
STATUS: Final[Mapping[str, int]] = {
    "bad_request": 400,  # the body is no JSON object in UTF-8
    "bad_setting": 400,
    "place_not_allowed": 403,
    "object_not_found": 404,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "request_too_large": 413,
    "response_too_large": 413,
    "unsupported_media_type": 415,
    "bad_image": 422,
    "internal_error": 500,
    "generation_failed": 500,
    "output_failed": 500,
    "storage_failed": 502,
    "out_of_memory": 503,
    "model_unavailable": 503,
    "not_configured": 503,
    "deadline_exceeded": 504,
}


class Refusal(HeliochromeError):
    """An error of the handler's own, with its code (see STATUS)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class OutOfTime(Cancelled):
    """The platform would end the process soon, so the work was stopped."""

    code = "deadline_exceeded"


def code_of(error: Exception) -> str:
    """The code of an error of ours; "internal_error" for any other."""
    if isinstance(error, Cancelled):
        return OutOfTime.code  # here only the clock cancels
    return error.code if isinstance(error, HeliochromeError) else HeliochromeError.code


def is_the_callers(code: str) -> bool:
    """Whether the caller can mend it: the message is then about what they sent, and not about
    the machine."""
    return STATUS[code] < 500
