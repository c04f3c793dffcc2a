"""What the user is told when something was changed for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

# Where the manual explains each notice, by its code: "page#heading" of help_docs. The headings
# are those of the English page; the manual gives them the same names in every language.
HELP: Final[Mapping[str, str]] = {
    "preview": "troubleshooting#preview-not-colourisation",
    "had-colour": "troubleshooting#the-photograph-already-had-colour",
    "values-clipped": "troubleshooting#pixel-values-out-of-range",
    "size-snapped": "which-size#what-size-means",
    "size-reduced": "which-size#when-memory-is-too-small",
    "size-reduced-ran-out": "which-size#when-memory-is-too-small",
    "ensemble-reduced": "which-size#several-sizes-at-once",
    "preset-chosen-faces": "portrait-or-building#how-automatic-decides",
    "preset-chosen-uprights": "portrait-or-building#how-automatic-decides",
    "preset-chosen-nothing": "portrait-or-building#how-automatic-decides",
    "backend-replaced": "troubleshooting#another-backend-was-used",
    "diffusion-nothing-masked": "stable-diffusion#nodes",
    "diffusion-region-coarse": "stable-diffusion#nodes",
    "diffusion-image-resized": "stable-diffusion#what-a-picture-is-made-with",
    "diffusion-prompt-shortened": "stable-diffusion#what-a-picture-is-made-with",
    "diffusion-negative-unused": "stable-diffusion#what-a-picture-is-made-with",
    "diffusion-negative-unused-lcm": "stable-diffusion#what-a-picture-is-made-with",
}
ALL_NOTICES: Final = "quick-start#what-the-notices-mean"  # of codes that are not above


@dataclass(frozen=True)
class Notice:
    """Something that was changed for the user.

    code: stable; locales/*/main.json has a sentence for each. text: English, complete.
    values: what the sentence of another language fills in, as {name} there.
    """

    code: str
    text: str
    values: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def help(self) -> str:
        """Where the manual explains it, as "page#heading"; see HELP."""
        return HELP.get(self.code, ALL_NOTICES)
