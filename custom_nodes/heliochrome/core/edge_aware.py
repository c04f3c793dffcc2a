"""Spread values over a picture, but not across the edges of its lightness."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from .lab import FloatArray

_ITERATIONS: Final = 3
_ROUNDS: Final = 3  # sweeps down and up; each lets a path turn back once more
_DIAGONAL: Final = np.float32(2**0.5)


def smooth_globally(
    values: FloatArray, light: FloatArray, length: float, sigma: float
) -> FloatArray:
    """Weighted least squares smoothing guided by `light`, one dimension after the other.

    The fast global smoother of Min et al. (2014). values: (h, w, c) float32, not negative
    when ratios of the result matter: then sums of positive terms keep them exact however small
    they get. light: (h, w) float32 L*; length: how far values reach on even ground, in pixels;
    sigma: L* step that divides the flow by e. Returns (h, w, c) float32.
    """
    rows = np.stack([cv2.transpose(plane) for plane in cv2.split(values)])  # (c, w, h)
    down = _flow(light, sigma)  # (h - 1, w)
    across = _flow(cv2.transpose(light), sigma)  # (w - 1, h)
    for iteration in range(1, _ITERATIONS + 1):
        share = 4.0 ** (_ITERATIONS - iteration) * 3 / (4.0**_ITERATIONS - 1)
        weight = np.float32(0.5 * share * length**2)
        rows = _solve(rows, weight * across)
        columns = np.stack([cv2.transpose(plane) for plane in rows])  # (c, h, w)
        columns = _solve(columns, weight * down)
        rows = np.stack([cv2.transpose(plane) for plane in columns])
    return np.ascontiguousarray(columns.transpose(1, 2, 0))


def _flow(light: FloatArray, sigma: float) -> FloatArray:
    """(n, m) -> (n - 1, m): how freely neighbours along axis 0 exchange, 1 where L* is equal."""
    flow: FloatArray = np.exp(np.abs(np.diff(light, axis=0)) * np.float32(-1 / sigma))
    return flow


def _solve(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Tridiagonal systems along axis 1: values (c, n, m), weight (n - 1, m) between neighbours.

    Row i says (1 + w[i - 1] + w[i]) x[i] - w[i - 1] x[i - 1] - w[i] x[i + 1] = values[i].
    """
    edge = np.zeros((1, weight.shape[1]), np.float32)
    before, after = np.concatenate((edge, weight)), np.concatenate((weight, edge))
    base = 1 + before + after
    inverse = np.empty_like(base)  # of the pivots
    carried = np.zeros_like(base[0])
    for i in range(len(base)):
        inverse[i] = 1 / (base[i] - before[i] * carried)
        carried = after[i] * inverse[i]
    solved = values * inverse
    before *= inverse
    after *= inverse
    for i in range(1, len(base)):
        solved[:, i] += before[i] * solved[:, i - 1]
    for i in range(len(base) - 2, -1, -1):
        solved[:, i] += after[i] * solved[:, i + 1]
    return solved


def distances(
    start: FloatArray, light: FloatArray, per_lightness: float, slack: float
) -> FloatArray:
    """Length of the shortest way, on which edges count as long (GeoS, Criminisi et al. 2008).

    start: (h, w) float32 what a way from here costs already, infinite where none begins;
    per_lightness: pixels that one L* of difference between neighbours counts as, what is
    below `slack` left out. Returns (h, w) float32, in pixels; where the way winds up and down
    many times, a little too long.
    """

    def steep(one: FloatArray, other: FloatArray) -> FloatArray:
        over: FloatArray = np.maximum(np.abs(one - other) - np.float32(slack), 0)
        return over * np.float32(per_lightness)

    height, width = light.shape
    found = start.astype(np.float64)
    along = np.zeros((height, width))
    np.cumsum(1 + steep(light[:, 1:], light[:, :-1]), axis=1, out=along[:, 1:])
    straight = 1 + steep(light[1:], light[:-1])
    falling = _DIAGONAL + steep(light[1:, 1:], light[:-1, :-1])
    rising = _DIAGONAL + steep(light[1:, :-1], light[:-1, 1:])
    for _ in range(_ROUNDS):
        before = found.copy()
        for y in range(height):
            if y:
                _across_rows(found[y], found[y - 1], straight[y - 1], falling[y - 1], rising[y - 1])
            _along_row(found[y], along[y])
        for y in range(height - 2, -1, -1):
            _across_rows(found[y], found[y + 1], straight[y], rising[y], falling[y])
            _along_row(found[y], along[y])
        if np.array_equal(before, found):
            break
    return found.astype(np.float32)


def _across_rows(
    row: FloatArray, other: FloatArray, straight: FloatArray, right: FloatArray, left: FloatArray
) -> None:
    """Ways from the neighbouring row: right (w - 1,) costs of going one pixel right, left same."""
    np.minimum(row, other + straight, out=row)
    np.minimum(row[1:], other[:-1] + right, out=row[1:])
    np.minimum(row[:-1], other[1:] + left, out=row[:-1])


def _along_row(row: FloatArray, along: FloatArray) -> None:
    """Ways along the row, both directions; along: (w,) cost from its left end."""
    np.minimum(row, np.minimum.accumulate(row - along) + along, out=row)
    np.minimum(row, np.minimum.accumulate((row + along)[::-1])[::-1] - along, out=row)
