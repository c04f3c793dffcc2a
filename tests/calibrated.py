"""A backend that only says what it would need: 1000 bytes for a pixel. It never runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from heliochrome.core.extent import Extent


@dataclass
class Calibrated:
    """See `base.Backend`. fixed: bytes besides those for the pixels."""

    name: str = "calibrated"
    device: str = "cpu"
    precision: str = "f32"
    weight_bytes: int = 0
    source_sha256: str | None = None
    fixed: int = 0

    def predict_ab(self, gray_rgb: np.ndarray) -> np.ndarray:
        raise AssertionError("it never runs")

    def activation_bytes(self, extent: Extent, batch: int = 1) -> int:
        return self.fixed + 1000 * batch * extent.pixels

    def close(self) -> None: ...
