"""Which preset suits a photograph, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np

from .extent import Extent
from .faces import LOOK_SIZE, Face
from .lab import FloatArray, grey
from .presets import BUILDING, DEFAULT_PRESET, PORTRAIT, Preset
from .resize import resized

Seen = Literal["faces", "uprights", "nothing"]

_FACE: Final = 0.05  # of the long side: smaller faces are people in a street, unless
_GROUP: Final = 3  # there are so many of them
_LONG: Final = 0.04  # of the long side: shorter lines are texture
_UPRIGHT: Final = 10.0  # degrees from the vertical
_FRAME: Final = 0.04  # of each side: lines so near the edge are the print's border
# Upright lines in lengths of the square root of the picture's area. Photographs of
# buildings that we measured have 3 to 8, landscapes and still lifes below 1.
_BUILT: Final = 2.0


@dataclass(frozen=True)
class PresetChoice:
    """reason: one English sentence. seen: what decided, and count: how many of it."""

    preset: Preset
    reason: str
    seen: Seen
    count: int


def choose_preset(light: FloatArray, faces: Sequence[Face]) -> PresetChoice:
    """The preset for a photograph: people first, then buildings, else the default.

    light: (h, w) float32 L* in [0, 100]; faces: as `find_faces` gives them.
    """
    extent = Extent.of(light.shape)
    largest = max((face.height for face in faces), default=0.0)
    share = largest * extent.height / max(extent.width, extent.height)
    count = len(faces)
    if share >= _FACE or count >= _GROUP:
        found = "1 face was found" if count == 1 else f"{count} faces were found"
        reason = f"{found}, the largest with {share:.0%} of the long side."
        return PresetChoice(PORTRAIT, reason, "faces", count)
    lines, length = _upright_lines(light)
    if length >= _BUILT:
        reason = f"{lines} long upright lines were found, and no large face."
        return PresetChoice(BUILDING, reason, "uprights", lines)
    reason = "Neither a large face nor the upright lines of buildings were found."
    return PresetChoice(DEFAULT_PRESET, reason, "nothing", 0)


def _upright_lines(light: FloatArray) -> tuple[int, float]:
    """How many, and their length in all, in square roots of the picture's area.

    By the line segment detector of von Gioi et al. (2010), the border left out.
    """
    extent = Extent.of(light.shape).fit(LOOK_SIZE, 1)
    seen = np.rint(grey(resized(light, extent)) * 255).astype(np.uint8)
    segments = cv2.createLineSegmentDetector().detect(seen)[0]
    if segments is None:
        return 0, 0.0
    ends = segments.reshape(-1, 2, 2)  # (n, 2 ends, x and y)
    across, down = np.abs(ends[:, 1] - ends[:, 0]).T
    length = np.hypot(across, down)
    middle = ends.mean(axis=1) / (extent.width, extent.height)
    inside = (np.abs(middle - 0.5) < 0.5 - _FRAME).all(axis=1)
    upright = down * np.tan(np.radians(_UPRIGHT)) >= across
    counted = inside & upright & (length >= _LONG * LOOK_SIZE)
    return int(counted.sum()), float(length[counted].sum() / extent.pixels**0.5)
