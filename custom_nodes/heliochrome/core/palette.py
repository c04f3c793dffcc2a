"""From what the network gave to the chroma that is painted, at the network's resolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .chroma import limit_chroma
from .faces import Face, find_faces
from .guidance import Guidance
from .hints import apply_hints
from .lab import FloatArray
from .reference_color import transfer
from .settings import Settings
from .skin import guard_skin


@dataclass(frozen=True, eq=False)
class Palette:
    """ab: (h, w, 2) float32. faces: how many the skin guard looked after; None if it was off."""

    ab: FloatArray
    faces: int | None


def compose(
    ab: FloatArray,
    light: FloatArray,
    settings: Settings,
    guidance: Guidance,
    faces: Sequence[Face] | None = None,
) -> Palette:
    """Apply every colour control in turn; what the user painted has the last word.

    ab: (h, w, 2) float32 CIE a*b* from the network; light: (h, w) float32 L* in [0, 100].
    faces: where they are, if that is known; None looks for them.
    """
    ab = ab * np.float32(settings.saturation)
    if guidance.reference is not None:
        ab = transfer(ab, light, guidance.reference, settings.reference_amount)
    ab = limit_chroma(ab, settings.chroma_limit)
    guarded = None
    if settings.skin_guard > 0:
        found = find_faces(light) if faces is None else faces
        guarded = len(found)
        ab = guard_skin(ab, light, found, settings.skin_guard)
    if guidance.hints is not None:
        ab = apply_hints(ab, light, guidance.hints)
    return Palette(ab * np.float32(settings.strength), guarded)
