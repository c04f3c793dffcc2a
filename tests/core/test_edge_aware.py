"""Spreading over a picture, but not across edges."""

import heapq

import cv2
import numpy as np
import pytest

from heliochrome.core.edge_aware import distances, smooth_globally


def shortest_ways(start, light, per_lightness, slack):
    """Dijkstra on the grid of eight neighbours, in float64: what `distances` stands for."""
    height, width = light.shape
    found = start.astype(np.float64).copy()
    queue = [(found[y, x], y, x) for y, x in np.argwhere(np.isfinite(start))]
    heapq.heapify(queue)
    while queue:
        so_far, y, x = heapq.heappop(queue)
        if so_far > found[y, x]:
            continue
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                v, u = y + dy, x + dx
                if not (dy or dx) or not (0 <= v < height and 0 <= u < width):
                    continue
                steep = max(abs(float(light[v, u]) - float(light[y, x])) - slack, 0)
                way = so_far + np.hypot(dy, dx) + per_lightness * steep
                if way < found[v, u] - 1e-12:
                    found[v, u] = way
                    heapq.heappush(queue, (way, v, u))
    return found


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("slack", [0.0, 1.0])
def test_distances_are_the_shortest_ways(seed, slack):
    rng = np.random.default_rng(seed)
    light = cv2.GaussianBlur(rng.uniform(0, 60, (23, 31)).astype(np.float32), (0, 0), 2)
    start = np.full(light.shape, np.inf, np.float32)
    for y, x in rng.integers(0, (23, 31), (seed + 1, 2)):
        start[y, x] = rng.uniform(0, 5)
    expected = shortest_ways(start, light, 2.0, slack)
    np.testing.assert_allclose(distances(start, light, 2.0, slack), expected, rtol=0.02)


def test_a_wall_is_walked_around():
    light = np.full((60, 60), 50, np.float32)
    light[:50, 30] = 90  # open at the bottom
    start = np.full(light.shape, np.inf, np.float32)
    start[10, 20] = 0
    way = distances(start, light, 10.0, 0.0)
    assert way[10, 29] == pytest.approx(9)
    assert 80 < way[10, 40] < 100  # down, around and up again
    np.testing.assert_allclose(way, shortest_ways(start, light, 10.0, 0.0), rtol=1e-5)


def test_smoothing_keeps_the_sum_and_stops_at_an_edge():
    light = np.full((40, 80), 30, np.float32)
    light[:, 40:] = 80
    values = np.zeros((40, 80, 1), np.float32)
    values[18:22, 30:34] = 1
    smooth = smooth_globally(values, light, 10.0, 3.0)[..., 0]
    assert smooth.sum() == pytest.approx(values.sum(), rel=1e-4)
    assert (smooth > 0).all(), "ratios need something everywhere"
    assert smooth[:, 40:].sum() < 1e-4 * smooth[:, :40].sum()


def test_smoothing_one_line_solves_the_equations():
    # one pixel high: only the passes along the row do anything, three of them
    rng = np.random.default_rng(3)
    light = rng.uniform(0, 10, (1, 12)).astype(np.float32)
    values = rng.uniform(0, 1, (1, 12, 2)).astype(np.float32)
    flow = np.exp(-np.abs(np.diff(light[0].astype(np.float64))) / 4)
    expected = values[0].astype(np.float64)
    for share in (16 / 21, 4 / 21, 1 / 21):  # 3 * 4^(3 - t) / (4^3 - 1)
        weight = 0.5 * share * 6.0**2 * flow
        system = np.eye(12)
        for i, w in enumerate(weight):
            system[i, i] += w
            system[i + 1, i + 1] += w
            system[i, i + 1] -= w
            system[i + 1, i] -= w
        expected = np.linalg.solve(system, expected)
    np.testing.assert_allclose(smooth_globally(values, light, 6.0, 4.0)[0], expected, rtol=1e-4)
