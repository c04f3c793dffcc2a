"""What the policy says of a licence as a package states it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import yaml  # type: ignore[import-untyped]

Kind = Literal["free", "weak", "gpl", "nvidia", "refused", "unknown"]
POLICY: Final = Path(__file__).with_name("licence_policy.yaml")
# Of several that hold at once the strictest counts, of several to choose from the mildest.
_ORDER: Final[tuple[Kind, ...]] = ("free", "weak", "nvidia", "gpl", "unknown", "refused")
_LISTED: Final[tuple[Kind, ...]] = ("free", "weak", "gpl", "nvidia")


class BadTerms(Exception):
    """The image holds what a sold one may not, or what nobody has read yet."""


@dataclass(frozen=True)
class Policy:
    kinds: Mapping[str, Kind]
    refused: Sequence[str]
    corrected: Mapping[str, Mapping[str, str]]
    gpl_allowed: Mapping[str, Mapping[str, str]]
    gpl_libraries: Mapping[str, str]
    notes: Mapping[str, str]

    @classmethod
    def read(cls, path: Path = POLICY) -> Policy:
        found = yaml.safe_load(path.read_text("utf-8"))
        return cls(
            {name.casefold(): kind for kind in _LISTED for name in found[kind]},
            found["refused"],
            found["corrected"],
            found["gpl_allowed"],
            found["gpl_libraries"],
            found["notes"],
        )

    def refuses(self, expression: str) -> bool:
        """Whether it names what no sold image may hold, and leaves no choice."""
        text = expression.casefold()
        return any(word in text for word in self.refused) and " or " not in text

    def kind(self, expression: str) -> Kind:
        """expression: a name as packages state it, or SPDX with AND, OR and brackets."""
        text = expression.strip()
        named = self.kinds.get(text.casefold())
        if named:
            return named
        if self.refuses(text):
            return "refused"
        for joined, pick in ((" OR ", min), (" AND ", max)):
            parts = _split(text, joined)
            if len(parts) > 1:
                return _ORDER[pick(_ORDER.index(self.kind(part)) for part in parts)]
        if text.startswith("(") and text.endswith(")"):
            return self.kind(text[1:-1])
        return "unknown"


def stated(component: Mapping[str, Any], policy: Policy) -> str:
    """The licence of a CycloneDX component, as one expression; "" if it states none.

    Classifiers that stand side by side are all taken to hold.
    """
    correction = policy.corrected.get(component["name"])
    if correction:
        return str(correction["is"])
    named = [
        str(entry.get("expression") or entry["license"].get("id") or entry["license"]["name"])
        for entry in component.get("licenses", ())
    ]
    return " AND ".join(f"({name})" if " OR " in name else name for name in named)


def _split(text: str, joined: str) -> list[str]:
    """Cut where `joined` stands outside of brackets."""
    parts, depth, start = [], 0, 0
    for found in re.finditer(rf"\(|\)|{joined}", text):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if found[0] == joined and depth == 0:
            parts.append(text[start : found.start()])
            start = found.end()
    return [*parts, text[start:]]
