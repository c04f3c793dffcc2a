"""Keep faces from turning green, blue or purple: hue and chroma of skin, never lightness.

Skin of every tone lies in a narrow range of CIELAB hue: from very light to very dark
(classes of the individual typology angle, Chardon et al. 1991) it is L* and chroma that
differ, while the hue stays near 45 to 70 degrees (Weatherall and Coombs 1992; Xiao et
al. 2017). The default range is wider: it holds lips, blush and warm light.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from .chroma import limit_chroma
from .errors import BadSetting
from .faces import Face
from .lab import FloatArray

HUE: Final = (25.0, 80.0)  # degrees: lips and flushed cheeks to skin in lamp light
MAX_CHROMA: Final = 45.0
# Skin where the face has no plausible colour of its own.
_TYPICAL_HUE: Final = 55.0
_TYPICAL_CHROMA: Final = 18.0
_WRONG: Final = 12.0  # this far (ab units) outside the range a colour is replaced, not mended
_BETWEEN: Final = 0.08  # of the size of a face: wrong colours so near each other are one patch
_TINTED: Final = 12.0  # a colour with less chroma says less about the skin
# The region of one face, in widths and heights of its box: an ellipse down to the neck.
_REACH: Final = (0.62, 0.72)
_LOWER: Final = 0.08
_FADE: Final = 1.5  # the guard is gone at this many times the ellipse
_CORE: Final = 0.75  # inside this share of the ellipse it is certainly the face
_LIGHTNESS_FADE: Final = 12.0  # L* beyond the face's own lightness at which the guard is gone


def guard_skin(
    ab: FloatArray,
    light: FloatArray,
    faces: Sequence[Face],
    amount: float,
    *,
    hue: tuple[float, float] = HUE,
    max_chroma: float = MAX_CHROMA,
) -> FloatArray:
    """Bring improbable colours of faces back to skin; other colours stay.

    ab: (h, w, 2) float32 CIE a*b*; light: (h, w) float32 L* in [0, 100]; faces: in
    fractions of the picture; amount: 0 (off) to 1. hue: the allowed angles h_ab in
    degrees, from > -180 to 360, less than 180 apart; max_chroma: approached softly, > 0.
    Returns new ab. A colour inside the range and below 3/4 of max_chroma is left as it is,
    one outside goes towards the plausible colours of the same face. Raises BadSetting.
    """
    _check(amount, hue, max_chroma)
    guarded = ab.copy()
    for face in faces:
        window, surely, weight = _region(face, light)
        if not weight.size:
            continue
        found = guarded[window]
        skin = limit_chroma(_into_range(found, light[window], surely, hue), max_chroma)
        guarded[window] = found + np.float32(amount) * weight[..., None] * (skin - found)
    return guarded


def _check(amount: float, hue: tuple[float, float], max_chroma: float) -> None:
    if not 0 <= amount <= 1:
        raise BadSetting(f"amount: expected 0 to 1, got {amount}.")
    if not -180 < hue[0] < hue[1] <= 360 or hue[1] - hue[0] >= 180:
        raise BadSetting(f"hue: expected two rising angles less than 180 apart, got {hue}.")
    if not 0 < max_chroma < float("inf"):
        raise BadSetting(f"max_chroma: expected a number above 0, got {max_chroma}.")


def _region(face: Face, light: FloatArray) -> tuple[tuple[slice, slice], FloatArray, FloatArray]:
    """Where one face is: a window of the picture and there, (rows, columns) float32 in [0, 1],
    how surely it is the face itself, and how much the guard counts.
    """
    height, width = light.shape
    middle = (face.x + face.width / 2) * width, (face.y + face.height * (0.5 + _LOWER)) * height
    radius = face.width * width * _REACH[0], face.height * height * _REACH[1]
    left, top = (max(int(m - r * _FADE), 0) for m, r in zip(middle, radius, strict=True))
    right, bottom = (max(int(m + r * _FADE) + 2, 0) for m, r in zip(middle, radius, strict=True))
    window = slice(top, bottom), slice(left, right)
    part = light[window]
    x = (np.arange(left, left + part.shape[1]) + 0.5 - middle[0]) / radius[0]
    y = (np.arange(top, top + part.shape[0]) + 0.5 - middle[1]) / radius[1]
    distance = np.hypot(x, y[:, None]).astype(np.float32)
    core = distance < _CORE
    if not core.any():
        return window, np.zeros((0, 0), np.float32), np.zeros((0, 0), np.float32)
    # Around the core only what is as light as the face: not the collar, not the sky.
    dark, bright = np.percentile(part[core], (5, 95)).astype(np.float32)
    strange = np.maximum(np.maximum(dark - part, part - bright), 0) / _LIGHTNESS_FADE
    surely = 1 - _smooth((distance - _CORE) / (1 - _CORE))
    alike = np.maximum(surely, 1 - _smooth(strange))
    weight: FloatArray = (1 - _smooth((distance - 1) / (_FADE - 1))) * alike
    return window, surely, weight


def _into_range(
    ab: FloatArray, light: FloatArray, surely: FloatArray, hue: tuple[float, float]
) -> FloatArray:
    """(h, w, 2) with every hue inside the range: moved on a line towards the face's own skin."""
    inside = _inside(ab, hue)  # (2, h, w)
    chroma = np.hypot(ab[..., 0], ab[..., 1])
    good = (inside >= 0).all(axis=0)
    skin = _own_skin(ab, surely * good * _smooth(chroma / _TINTED), surely, hue)
    target = skin * _chroma_at(light)[..., None]  # (h, w, 2), inside the sector
    # How far to go to be just inside: the edge that is further away decides.
    missing = np.maximum(-inside, 0)
    enter = (missing / (missing + _inside(target, hue))).max(axis=0)
    # Behind the tip of the sector, that is nearer than its edges: their lines go on there.
    behind = (_along(ab, hue) <= 0).all(axis=0)
    beyond = np.where(behind, chroma, missing.max(axis=0))
    step = np.maximum(enter, _smooth(beyond / _WRONG))
    # Where one wrong colour turns into another it passes through grey: that goes too.
    radius = max(_BETWEEN * surely.sum() ** 0.5, 0.5)  # the sum is the area of the face
    step = np.maximum(step, cv2.GaussianBlur(step * surely, (0, 0), radius))
    moved: FloatArray = ab + step[..., None] * (target - ab)
    return moved


def _inside(ab: FloatArray, hue: tuple[float, float]) -> FloatArray:
    """(2, ...) how far (..., 2) a*b* is inside the two edges of the sector of good hues."""
    low, high = hue
    return np.stack((_dot(ab, low + 90), _dot(ab, high - 90)))


def _along(ab: FloatArray, hue: tuple[float, float]) -> FloatArray:
    """(2, ...) how far out along the two edges."""
    return np.stack([_dot(ab, angle) for angle in hue])


def _dot(ab: FloatArray, angle: float) -> FloatArray:
    """(...) part of (..., 2) a*b* in the direction of a hue in degrees."""
    radians = math.radians(angle)
    part: FloatArray = ab[..., 0] * math.cos(radians) + ab[..., 1] * math.sin(radians)
    return part


def _own_skin(
    ab: FloatArray, plausible: FloatArray, surely: FloatArray, hue: tuple[float, float]
) -> FloatArray:
    """(2,) mean of the plausible colours; the fewer there are, the more typical skin counts."""
    # Well inside another range of hues too.
    margin = (hue[1] - hue[0]) / 4
    angle = math.radians(min(max(_TYPICAL_HUE, hue[0] + margin), hue[1] - margin))
    typical = _TYPICAL_CHROMA * np.array([math.cos(angle), math.sin(angle)], np.float32)
    prior = np.float32(0.1) * surely.sum() + np.float32(1e-6)
    total = (ab * plausible[..., None]).sum(axis=(0, 1)) + prior * typical
    own: FloatArray = total / (plausible.sum() + prior)
    return own


def _chroma_at(light: FloatArray) -> FloatArray:
    """Share of skin's chroma at this L*: highlights and deep shadows have less."""
    dark, bright = _smooth(light / 25), _smooth((100 - light) / 18)
    share: FloatArray = np.float32(0.3) + np.float32(0.7) * np.minimum(dark, bright)
    return share


def _smooth(x: npt.NDArray[Any]) -> FloatArray:
    """0 below 0, 1 above 1, smooth between; keeps the shape."""
    x = np.clip(x, 0, 1).astype(np.float32)
    smooth: FloatArray = x * x * (3 - 2 * x)
    return smooth
