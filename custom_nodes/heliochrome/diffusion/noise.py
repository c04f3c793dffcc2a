"""The noise that pictures are made of: the same for a seed on every system, for ever."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np


def seeded_noise(seed: int) -> Any:
    """An `openvino_genai.Generator` drawing from NumPy's RandomState(seed), seed in 0..2**32-1.

    NumPy has frozen that stream, and stable_diffusion.openvino drew from it. OpenVINO GenAI's own
    generator is the C++ library's, which is another one on another system.
    """
    return _generator_class()(seed)


@cache
def _generator_class() -> Any:
    import openvino
    import openvino_genai

    class Seeded(openvino_genai.Generator):  # type: ignore[misc,unused-ignore]
        """Called from C++, one call for each tensor that it draws."""

        def __init__(self, seed: int) -> None:
            super().__init__()
            self._draws = np.random.RandomState(seed)

        def next(self) -> float:
            return float(self._draws.standard_normal())

        def randn_tensor(self, shape: Any) -> Any:
            drawn = self._draws.standard_normal(tuple(shape)).astype(np.float32)
            return openvino.Tensor(drawn)

        def seed(self, new_seed: int) -> None:
            self._draws.seed(new_seed)

    return Seeded
