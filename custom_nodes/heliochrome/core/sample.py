"""A grey picture to try things on, drawn here so that nobody's photograph is shipped."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

WIDTH: Final = 960
HEIGHT: Final = 720
_SCALE: Final = 2  # drawn larger, then reduced: smooth edges


def draw_sample() -> npt.NDArray[np.uint8]:
    """A house, a tree and a person under a sky: (720, 960, 3) uint8 grey sRGB, always the same."""
    width, height = WIDTH * _SCALE, HEIGHT * _SCALE
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = x / width, y / height
    horizon = 0.66
    clouds = 14 * np.sin(9 * x + 3 * np.sin(5 * y)) * np.sin(11 * y + 2 * x)
    sky = 205 - 70 * (1 - y / horizon) + clouds
    ground = 120 - 45 * (y - horizon) / (1 - horizon) + 6 * np.sin(60 * x + 90 * y)
    picture = np.where(y < horizon, sky, ground).astype(np.float32)

    def box(left: float, top: float, right: float, bottom: float, tone: float) -> None:
        corner = (int(left * width), int(top * height)), (int(right * width), int(bottom * height))
        cv2.rectangle(picture, *corner, tone, cv2.FILLED)

    def shape(points: list[tuple[float, float]], tone: float) -> None:
        corners = np.array([(px * width, py * height) for px, py in points], np.int32)
        cv2.fillPoly(picture, [corners], tone)

    def disc(at: tuple[float, float], radius: float, tone: float) -> None:
        centre = (int(at[0] * width), int(at[1] * height))
        cv2.circle(picture, centre, int(radius * width), tone, cv2.FILLED)

    box(0.10, 0.38, 0.48, 0.76, 165)  # wall
    shape([(0.06, 0.38), (0.29, 0.18), (0.52, 0.38)], 78)  # roof
    box(0.38, 0.20, 0.42, 0.30, 96)  # chimney
    for left in (0.15, 0.25, 0.40):
        box(left, 0.45, left + 0.055, 0.55, 52)
        box(left + 0.025, 0.45, left + 0.030, 0.55, 190)
    box(0.26, 0.60, 0.33, 0.76, 66)  # door
    box(0.755, 0.44, 0.785, 0.74, 58)  # trunk
    for at, radius, tone in (
        ((0.77, 0.33), 0.105, 88),
        ((0.70, 0.40), 0.075, 76),
        ((0.84, 0.40), 0.080, 99),
        ((0.79, 0.27), 0.060, 110),
    ):
        disc(at, radius, tone)
    shape([(0.575, 0.90), (0.595, 0.66), (0.645, 0.66), (0.665, 0.90)], 62)  # coat
    disc((0.62, 0.615), 0.030, 118)  # face
    box(0.592, 0.555, 0.648, 0.590, 45)  # hat
    reduced = cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    grain = np.random.default_rng(1839).normal(0, 5, reduced.shape)
    grey = np.clip(cv2.GaussianBlur(reduced, (0, 0), 0.8) + grain, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)
