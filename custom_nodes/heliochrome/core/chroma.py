"""Bring the network's chroma to full resolution, any rows at a time."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .extent import Extent
from .lab import FloatArray, readable
from .presets import ChromaGuide

Taps = tuple[npt.NDArray[np.int64], FloatArray]


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
        from .kernels import REACH, TILE

        small = Extent.of(ab.shape)
        if guide != "nearest" and full.width <= small.width and full.height <= small.height:
            # One network pixel or more for each of ours: there is nothing to guide.
            size = (full.width, full.height)
            ab = cv2.resize(ab, size, interpolation=cv2.INTER_AREA).reshape(*size[::-1], 2)
            light, small, guide = np.zeros(size[::-1], np.float32), full, "nearest"
        taps = _nearest if guide == "nearest" else _bicubic
        columns, column_weights = taps(small.width, full.width)
        rows, row_weights = taps(small.height, full.height)
        planes = np.stack((light, ab[..., 0], ab[..., 1]), axis=1)  # (h, 3, w)
        edges = (REACH, REACH)
        self._planes = np.pad(planes, (edges, (0, 0), edges), mode="edge").astype(np.float32)
        rest = (0, -full.width % TILE)
        self._columns = np.pad(columns + REACH, rest, mode="edge").astype(np.uint32)
        self._column_weights = np.ascontiguousarray(
            np.pad(column_weights, (rest, (0, 0)), mode="edge").T
        )
        self._rows, self._row_weights = rows + REACH - 1, row_weights
        self._per_sigma = np.float32(1 / edge_sigma if guide == "joint-bilateral" else 0)

    def sources(self, top: int, bottom: int) -> tuple[Any, ...]:
        """What the kernels need to draw rows [top, bottom)."""
        return (
            self._planes,
            self._columns,
            self._column_weights,
            self._rows[top:bottom],
            self._row_weights[top:bottom],
            self._per_sigma,
        )

    def rows(self, top: int, bottom: int, light: FloatArray) -> FloatArray:
        """ab of rows [top, bottom): light (rows, W) float32 L* -> (rows, W, 2) float32."""
        from . import kernels

        ab = np.empty((*light.shape, 2), np.float32)
        kernels.upsample(readable(light), ab, *self.sources(top, bottom))
        return ab


def _bicubic(size_in: int, size_out: int) -> Taps:
    """The first of four inputs for each output, and their (size_out, 4) weights.

    Keys 1981 with a = -0.5, half-pixel centres; inputs past the edges are the edges.
    """
    at = (np.arange(size_out) + 0.5) * size_in / size_out - 0.5
    first = np.floor(at).astype(np.int64) - 1
    x = np.abs(at[:, None] - (first[:, None] + np.arange(4)))
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return first, np.where(x <= 1, near, far).astype(np.float32)


def _nearest(size_in: int, size_out: int) -> Taps:
    """The same four taps, all the weight on the input whose area holds the output's centre."""
    nearest = (2 * np.arange(size_out, dtype=np.int64) + 1) * size_in // (2 * size_out)
    weights = np.zeros((size_out, 4), np.float32)
    weights[:, 1] = 1
    return nearest - 1, weights


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
