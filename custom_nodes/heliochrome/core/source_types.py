"""IPTC's Digital Source Types: which one a file is called by, for what was done to it.

http://cv.iptc.org/newscodes/digitalsourcetype/ (2024-10-23).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

Kind = Literal["colorization", "preview", "generation", "variation", "inpainting"]

_NEWSCODES: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"

_ENHANCED: Final = _NEWSCODES + "algorithmicallyEnhanced"
_PARTLY_GENERATED: Final = _NEWSCODES + "compositeWithTrainedAlgorithmicMedia"
_GENERATED: Final = _NEWSCODES + "trainedAlgorithmicMedia"
SOURCE_TYPES: Final[Mapping[Kind, str]] = {
    # "Edited using Generative AI: augmentation, correction or enhancement using a Generative AI
    # model". The light is a real capture, and a model trained on other pictures makes up the
    # colours. Not trainedAlgorithmicMedia, which says that all of it is made up; and not
    # algorithmicallyEnhanced, whose changes leave "the main content" as it was.
    "colorization": _PARTLY_GENERATED,
    # "Modification or correction by algorithm without changing the main content, initiated or
    # configured by a human". A fixed tone curve; nothing trained takes part.
    "preview": _ENHANCED,
    # "Created using Generative AI": all of it is made up, from words.
    "generation": _GENERATED,
    # Made from a picture of the user's, as a whole or within a mask.
    "variation": _PARTLY_GENERATED,
    "inpainting": _PARTLY_GENERATED,
}

# What each next one adds leaves less of a picture to a camera, or to a human hand.
_SEVERITY: Final = (
    _ENHANCED,
    _NEWSCODES + "compositeSynthetic",
    _NEWSCODES + "algorithmicMedia",
    _PARTLY_GENERATED,
    _GENERATED,
)


def most_synthetic(ours: str, others: Iterable[str]) -> str:
    """Of `ours`, one of SOURCE_TYPES, and what other tools wrote, the one that claims least.

    Others are known by their last part, as tools write http, https or the bare word.
    """
    known = {kind.rpartition("/")[2]: kind for kind in _SEVERITY}
    found = (known.get(other.strip().rpartition("/")[2]) for other in others)
    return max((ours, *(kind for kind in found if kind)), key=_SEVERITY.index)
