"""Bring the network's chroma to full resolution, row strip by row strip."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from .extent import Extent
from .lab import FloatArray
from .presets import ChromaGuide

# Weight of the four neighbours before the guide speaks: exp(-1 / (2 * 0.5^2)).
_NEIGHBOUR: Final = 0.1353
# Keeps the plain bicubic value where the guide rejects every tap.
_FLOOR: Final = 1e-3


def _bicubic_matrix(size_in: int, size_out: int, shift: int = 0) -> FloatArray:
    """(size_out, size_in) bicubic weights (Keys 1981, a = -0.5), half-pixel centres, edges held.

    `shift` moves every sample by that many input pixels.
    """
    at = (np.arange(size_out) + 0.5) * size_in / size_out - 0.5 + shift
    first = np.floor(at).astype(np.int64) - 1
    matrix = np.zeros((size_out, size_in), np.float32)
    rows = np.arange(size_out)
    for tap in range(4):
        x = np.abs(at - (first + tap))
        near = 1.5 * x**3 - 2.5 * x**2 + 1
        far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
        column = np.clip(first + tap, 0, size_in - 1)
        np.add.at(matrix, (rows, column), np.where(x <= 1, near, far))
    return matrix


class ChromaUpsampler:
    """Chroma at any rows of the full picture.

    light (h, w) float32: the L* that the network saw; ab (h, w, 2) float32: what it
    gave; full: size of the photograph. With the joint bilateral guide each pixel takes
    chroma from the bicubic surface here and one network pixel up, down, left and right,
    weighted by how near their L* is to the photograph's own (Kopf et al., Joint
    Bilateral Upsampling, 2007). `edge_sigma` is in L* units.
    """

    def __init__(
        self,
        light: FloatArray,
        ab: FloatArray,
        full: Extent,
        guide: ChromaGuide,
        edge_sigma: float,
    ) -> None:
        self._edge_sigma = edge_sigma
        small = Extent.of(ab.shape)
        shrinks = full.width <= small.width and full.height <= small.height
        self._whole: FloatArray | None = None
        if guide == "nearest" or shrinks:
            # One network pixel or more for each of ours: there is nothing to guide.
            how = cv2.INTER_NEAREST_EXACT if guide == "nearest" else cv2.INTER_AREA
            self._whole = cv2.resize(ab, (full.width, full.height), interpolation=how)
            return
        self._joint = guide == "joint-bilateral"
        self._rows = {
            shift: _bicubic_matrix(small.height, full.height, shift)
            for shift in ((-1, 0, 1) if self._joint else (0,))
        }
        planes = np.concatenate((light[..., None], ab), axis=2)  # (h, w, 3)
        self._wide = {
            shift: np.matmul(_bicubic_matrix(small.width, full.width, shift), planes)  # (h, W, 3)
            for shift in self._rows
        }

    def rows(self, top: int, bottom: int, light: FloatArray) -> FloatArray:
        """ab of rows [top, bottom): light (rows, W) float32 L* -> (rows, W, 2) float32."""
        if self._whole is not None:
            return self._whole[top:bottom]
        centre = self._sample(top, bottom, 0, 0)
        if not self._joint:
            return centre[..., 1:]
        weight = self._affinity(light, centre[..., 0]) + np.float32(_FLOOR)
        total: FloatArray = centre[..., 1:] * weight[..., None]
        for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            tap = self._sample(top, bottom, dy, dx)
            w = self._affinity(light, tap[..., 0]) * np.float32(_NEIGHBOUR)
            total += tap[..., 1:] * w[..., None]
            weight += w
        total /= weight[..., None]
        return total

    def _affinity(self, light: FloatArray, other: FloatArray) -> FloatArray:
        distance = (light - other) * np.float32(1 / self._edge_sigma)
        near: FloatArray = np.exp(np.float32(-0.5) * distance * distance)
        return near

    def _sample(self, top: int, bottom: int, dy: int, dx: int) -> FloatArray:
        matrix, wide = self._rows[dy][top:bottom], self._wide[dx]
        used: npt.NDArray[np.intp] = np.flatnonzero(matrix.any(axis=0))
        first, last = int(used[0]), int(used[-1]) + 1
        flat = wide[first:last].reshape(last - first, -1)
        planes: FloatArray = (matrix[:, first:last] @ flat).reshape(bottom - top, -1, 3)
        return planes


def limit_chroma(ab: FloatArray, limit: float) -> FloatArray:
    """Softly keep chroma below `limit`: untouched up to 3/4 of it, then approaching it.

    (..., 2) float32 CIE a*b* -> same. Users see colour patches where the network
    runs away (ab near -170); this bounds them without a visible edge.
    """
    chroma = np.hypot(ab[..., 0], ab[..., 1])
    knee = np.float32(0.75 * limit)
    over = chroma > knee
    if not over.any():
        return ab
    room = np.float32(limit) - knee
    excess = chroma[over] - knee
    bounded = ab.copy()
    bounded[over] *= ((knee + room * np.tanh(excess / room)) / chroma[over])[..., None]
    return bounded
