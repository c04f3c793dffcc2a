"""The Accept header: an answer in JSON, or the picture itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ..core.photo import SUFFIXES
from .refusals import Refusal

PICTURES: Final = {f"image/{name}": name for name in SUFFIXES}
_ANY: Final = "*/*"
_ANY_PICTURE: Final = "image/*"
_JSON: Final = ("application/json", "application/*")
_KNOWN: Final = (*_JSON, _ANY, _ANY_PICTURE, *PICTURES)


@dataclass(frozen=True)
class Accepted:
    """kinds: types and ranges of types, best first. refused: types that one of these would hold."""

    kinds: tuple[str, ...]
    refused: frozenset[str] = frozenset()

    def choose(self, makes: Sequence[str]) -> str | None:
        """The best of the types of picture that can be made; None for JSON, which always can.

        makes: the one that comes by itself first. Raises Refusal where none is accepted.
        """
        for kind in self.kinds:
            if kind in (*_JSON, _ANY) and _JSON[0] not in self.refused:
                return None
            for one in makes:
                if one not in self.refused and kind in (one, _ANY_PICTURE, _ANY):
                    return one
        raise Refusal(
            "not_acceptable",
            f"Expected Accept to allow {' or '.join((_JSON[0], *makes))}: this request can be "
            "answered with nothing else.",
        )


def accepted(accept: str | None) -> Accepted:
    """Raises Refusal where nothing is accepted that any request is answered with."""
    if not accept or not accept.strip():
        return Accepted(_JSON)
    weights: dict[str, float] = {}
    for item in accept.split(","):
        name, _, parameters = item.strip().lower().partition(";")
        if name.strip() in _KNOWN:
            weights[name.strip()] = _weight(parameters)
    kinds = sorted((kind for kind in weights if weights[kind] > 0), key=lambda kind: -weights[kind])
    found = Accepted(tuple(kinds), frozenset(weights.keys() - kinds))
    found.choose(tuple(PICTURES))
    return found


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
