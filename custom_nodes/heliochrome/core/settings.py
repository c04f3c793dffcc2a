"""What the user asks of one colourisation, validated."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from .errors import BadSetting
from .presets import CHROMA_GUIDES, ENSEMBLES, RANGES, ChromaGuide, Preset


@dataclass(frozen=True)
class Settings:
    """Validated on construction; raises BadSetting. Fields as in `presets.Preset`.

    reference_mode: reproduce the original DDColor pipeline (square input, nearest-neighbour
    chroma, channels clipped); every field but `size` is then without effect.
    """

    size: int
    strength: float
    saturation: float
    chroma_guide: ChromaGuide
    edge_sigma: float
    chroma_limit: float
    ensemble: int
    skin_guard: float
    reference_amount: float
    reference_mode: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.size, bool) or not isinstance(self.size, int):
            raise BadSetting(f"size must be a whole number of pixels, got {self.size!r}.")
        for name, (least, most) in RANGES.items():
            _in_range(name, getattr(self, name), least, most)
        _one_of("chroma_guide", self.chroma_guide, CHROMA_GUIDES)
        _one_of("ensemble", self.ensemble, ENSEMBLES)

    @classmethod
    def from_preset(cls, preset: Preset, **overrides: Any) -> Settings:
        """The preset's values, with those that are given and not None replaced."""
        names = [field.name for field in fields(cls) if hasattr(preset, field.name)]
        values = {name: getattr(preset, name) for name in names}
        values |= {name: value for name, value in overrides.items() if value is not None}
        return cls(**values)

    def parameters(self) -> dict[str, str | int | float | bool]:
        """What provenance records: nothing but the size where the original is reproduced."""
        if self.reference_mode:
            return {"reference_mode": True, "size": self.size}
        found = asdict(self)
        del found["reference_mode"]
        return found


def _in_range(name: str, value: float, least: float, most: float) -> None:
    # NaN is in no range; a whole number too large for a float compares all the same.
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not least <= value <= most:
        raise BadSetting(f"{name} must be a number from {least:g} to {most:g}, got {value!r}.")


def _one_of(name: str, value: object, choices: tuple[object, ...]) -> None:
    if isinstance(value, bool) or value not in choices:
        listed = ", ".join(str(choice) for choice in choices)
        raise BadSetting(f"{name} must be one of {listed}, got {value!r}.")
