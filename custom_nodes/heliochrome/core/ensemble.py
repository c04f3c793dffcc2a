"""Several predictions of one photograph: their median chroma and how far they agree."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Final

import numpy as np

from .errors import BadSetting
from .extent import Extent
from .lab import FloatArray
from .presets import ENSEMBLES, MAX_SIZE, MIN_SIZE, SIZE_STEP
from .resize import resized

# The smallest pass sees half of the largest: other details, the same kind of photograph.
_SPAN: Final = 2.0
# Two predictions this far apart (CIE76 colour difference of ab) count as half agreement.
_HALF_AGREEMENT: Final = 10.0


def ensemble_sizes(size: int, passes: int) -> tuple[int, ...]:
    """Long sides to run the network at: `size` first, which none exceeds, then smaller ones.

    passes: one of ENSEMBLES. The others are multiples of `SIZE_STEP`, evenly spaced down to half
    of `size` or to MIN_SIZE; near MIN_SIZE there is room for fewer than `passes`, which are still
    odd in number, so that the median is of them. Raises
    BadSetting for another number of passes or a size outside the range.
    """
    if passes not in ENSEMBLES:
        raise BadSetting(f"passes: expected one of {ENSEMBLES}, got {passes}.")
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise BadSetting(f"size: expected {MIN_SIZE} to {MAX_SIZE}, got {size}.")
    lowest = max(MIN_SIZE, size / _SPAN)
    spaced = np.linspace(size, lowest, passes)[1:]
    others = (round(other / SIZE_STEP) * SIZE_STEP for other in spaced)
    sizes = tuple(dict.fromkeys((size, *(other for other in others if other < size))))
    return sizes if len(sizes) % 2 else sizes[:-1]


def combine(predictions: Sequence[FloatArray], extent: Extent) -> tuple[FloatArray, FloatArray]:
    """The median of predictions of one photograph, and how sure it is.

    predictions: one or more (h_i, w_i, 2) float32 a*b*, each over the whole photograph.
    Returns ab (h, w, 2) float32 of `extent`, the median of a* and of b*, and the confidence
    (h, w) float32 in [0, 1], the mean agreement of all pairs. One prediction cannot
    disagree: its confidence is 1 everywhere. Raises BadSetting when there is none.
    """
    if not predictions:
        raise BadSetting("predictions: expected at least one, got none.")
    seen = [resized(ab, extent) for ab in predictions]
    if len(seen) == 1:
        return seen[0], np.ones(seen[0].shape[:2], np.float32)
    confidence = np.zeros((extent.height, extent.width), np.float32)
    pairs = list(combinations(seen, 2))
    for one, other in pairs:
        confidence += agreement(one, other)
    confidence *= np.float32(1 / len(pairs))
    ab: FloatArray = np.median(np.stack(seen), axis=0)  # (n, h, w, 2) -> (h, w, 2)
    return ab, np.minimum(confidence, np.float32(1))


def agreement(one: FloatArray, other: FloatArray) -> FloatArray:
    """How far two predictions agree: (..., 2) float32 a*b* each -> (...) float32 in (0, 1].

    1 where they are equal, 1/2 where they are 10 units of ab apart, falling with the
    square of the distance.
    """
    difference = (one - other) * np.float32(1 / _HALF_AGREEMENT)
    agreed: FloatArray = 1 / (1 + (difference * difference).sum(axis=-1))
    return agreed
