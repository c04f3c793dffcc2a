"""What steers the colour of a photograph beside the settings: pictures of the user's."""

from __future__ import annotations

from dataclasses import dataclass

from .hints import Hints
from .reference_color import ReferenceColors


@dataclass(frozen=True, eq=False)
class Guidance:
    """reference: colours to take over. hints: colours painted over the photograph."""

    reference: ReferenceColors | None = None
    hints: Hints | None = None

    def parameters(self) -> dict[str, bool]:
        """What provenance records of it."""
        given = {"reference_picture": self.reference, "colour_hints": self.hints}
        return {name: True for name, value in given.items() if value is not None}


NO_GUIDANCE = Guidance()
