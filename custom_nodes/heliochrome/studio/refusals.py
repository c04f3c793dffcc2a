"""What goes wrong, in words that programs can rely on: one code and one HTTP status each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..core.errors import HeliochromeError

# Stable: programs choose by them what to do, and the page has a sentence for each.
STATUS: Final[Mapping[str, int]] = {
    "bad_request": 400,
    "bad_setting": 400,
    "unauthorized": 401,
    "webhook_not_allowed": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "not_ready": 409,
    "photo_too_large": 413,
    "bad_image": 422,
    "quota_exceeded": 507,
    "output_failed": 507,
    "internal_error": 500,
}
# What a photograph's work may end with beside those.
WORK: Final = frozenset({"out_of_memory", "model_unavailable", "crashed", "engine_failed"})


class Refusal(HeliochromeError):
    """An error of the studio's own, with its code (see STATUS and WORK)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def not_found(what: str) -> Refusal:
    """For what is somebody else's and for what is nobody's: the two look alike."""
    return Refusal(
        "not_found", f"You have no such {what} here. It may have been deleted or expired."
    )
