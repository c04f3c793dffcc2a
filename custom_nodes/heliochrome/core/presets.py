"""Presets: the one source of every default that the nodes, workflows, CLI and docs show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

ChromaGuide = Literal["joint-bilateral", "bicubic", "nearest"]
CHROMA_GUIDES: Final[tuple[ChromaGuide, ...]] = get_args(ChromaGuide)

AUTO_PRESET: Final = "auto"  # look at the photograph, then take one of PRESETS
DEFAULT_MODEL: Final = "ddcolor_v2"
ENSEMBLES: Final = (1, 3, 5)  # forward passes, an odd number so that there is a median
MIN_SIZE: Final = 256
MAX_SIZE: Final = 1280
SIZE_STEP: Final = 32  # the network halves its input five times
# The least and the most of every field below that is a number on a scale.
RANGES: Final[dict[str, tuple[float, float]]] = {
    "size": (MIN_SIZE, MAX_SIZE),
    "strength": (0.0, 1.0),
    "saturation": (0.0, 3.0),
    "edge_sigma": (0.5, 100.0),
    "chroma_limit": (1.0, 180.0),
    "skin_guard": (0.0, 1.0),
    "reference_amount": (0.0, 1.0),
}
# The fields that users set, in the order in which they see them.
TUNABLE: Final = (
    "size",
    "strength",
    "saturation",
    "chroma_guide",
    "chroma_limit",
    "ensemble",
    "skin_guard",
    "reference_amount",
)


@dataclass(frozen=True)
class Preset:
    """Defaults for one kind of photograph.

    id: permanent name. size: long side, in pixels, of what the network sees;
    size_range: the sizes that suit this kind. strength: 0 (grey) to 1 (full colour).
    saturation: chroma factor, 1 leaves it. chroma_guide: how chroma is brought to
    full resolution. edge_sigma: L* difference that counts as an edge for the joint
    bilateral guide; smaller is crisper. chroma_limit: CIE Lab chroma that is never
    exceeded; it is approached softly. ensemble: forward passes at as many sizes, whose
    median is taken. skin_guard: 0 (off) to 1, how far improbable skin colours in faces
    are brought back. reference_amount: 0 to 1, how far the colours of a reference
    picture are taken over where one is given.
    """

    id: str
    model: str
    size: int
    size_range: tuple[int, int]
    strength: float
    saturation: float
    chroma_guide: ChromaGuide
    edge_sigma: float
    chroma_limit: float
    ensemble: int
    skin_guard: float
    reference_amount: float


PORTRAIT: Final = Preset(
    id="portrait",
    model=DEFAULT_MODEL,
    size=512,
    size_range=(448, 704),
    strength=1.0,
    saturation=1.0,
    chroma_guide="joint-bilateral",
    edge_sigma=8.0,
    chroma_limit=80.0,
    ensemble=1,
    skin_guard=0.7,
    reference_amount=0.8,
)
BUILDING: Final = Preset(
    id="building",
    model=DEFAULT_MODEL,
    size=960,
    size_range=(768, 1280),
    strength=1.0,
    saturation=1.0,
    chroma_guide="joint-bilateral",
    edge_sigma=4.0,
    chroma_limit=100.0,
    ensemble=1,
    skin_guard=0.0,
    reference_amount=0.8,
)
PRESETS: Final = {preset.id: preset for preset in (PORTRAIT, BUILDING)}
DEFAULT_PRESET: Final = PORTRAIT
