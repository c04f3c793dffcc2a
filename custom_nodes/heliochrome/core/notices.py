"""What the user is told when something was changed for them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Notice:
    """Something that was changed for the user. `code` is stable, `text` is English."""

    code: str
    text: str
