"""The Accept header: an answer in JSON, or the picture itself."""

from __future__ import annotations

from typing import Final

from ..core.photo import SUFFIXES
from .refusals import Refusal

ANY_PICTURE: Final = "image/*"
PICTURES: Final = {f"image/{name}": name for name in SUFFIXES}
_JSON: Final = ("application/json", "application/*", "*/*")


def picture_wanted(accept: str | None) -> str | None:
    """The type of picture that is preferred ("image/png", "image/*"); None for JSON.

    Raises Refusal where neither is taken.
    """
    if not accept or not accept.strip():
        return None
    best, best_weight = None, 0.0
    for item in accept.split(","):
        name, _, parameters = item.strip().lower().partition(";")
        kind, weight = name.strip(), _weight(parameters)
        if kind in (*_JSON, ANY_PICTURE, *PICTURES) and weight > best_weight:
            best, best_weight = kind, weight
    if best is None:
        raise Refusal(
            "not_acceptable",
            f"Expected Accept to allow application/json, {ANY_PICTURE} or one of "
            f"{', '.join(PICTURES)}.",
        )
    return None if best in _JSON else best


def _weight(parameters: str) -> float:
    """q of RFC 9110, 12.4.2; what cannot be read counts as not accepted."""
    for item in parameters.split(";"):
        name, _, value = item.strip().partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
