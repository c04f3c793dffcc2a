"""What the user is told when something was changed for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Notice:
    """Something that was changed for the user.

    code: stable; locales/*/main.json has a sentence for each. text: English, complete.
    values: what the sentence of another language fills in, as {name} there.
    """

    code: str
    text: str
    values: Mapping[str, str | int] = field(default_factory=dict)
