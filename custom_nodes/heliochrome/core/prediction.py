"""What the network sees of a photograph, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .backends.base import Backend
from .ensemble import agreement, combine, ensemble_sizes
from .errors import BadWeights
from .extent import Extent
from .jobs import Cancel
from .lab import FloatArray, ImageArray, grey, lightness
from .presets import SIZE_STEP
from .shrink import lightness_at, reference_grey


@dataclass(frozen=True, eq=False)
class Prediction:
    """network: what the network saw. light (h, w) float32: its L*, ab (h, w, 2) float32.

    passes: sizes that the network was run at. confidence: (h, w) float32 in [0, 1],
    None if it was not asked for.
    """

    network: Extent
    light: FloatArray
    ab: FloatArray
    passes: int
    confidence: FloatArray | None = None


@dataclass(frozen=True)
class Predictor:
    """Runs the network on one photograph. `passed` is called after each forward pass."""

    backend: Backend
    cancel: Cancel
    passed: Callable[[], None]

    def natural(
        self, photo: ImageArray, network: Extent, passes: int, *, confidence: bool
    ) -> Prediction:
        """Aspect kept; the median of `passes` sizes. (H, W, 3) sRGB in. Raises OutOfMemory.

        With one pass, or where there is no room for more sizes, confidence is how far the
        mirrored picture gets the same chroma.
        """
        full = Extent.of(photo.shape)
        light = lightness_at(photo, network, cancel=self.cancel)
        ab = self._forward(grey(light))
        smaller = ensemble_sizes(max(network.width, network.height), passes)[1:]
        if smaller:
            predictions = [ab]
            for size in smaller:
                other = full.fit(size, SIZE_STEP)
                seen = lightness_at(photo, other, cancel=self.cancel)
                predictions.append(self._forward(grey(seen)))
            ab, sure = combine(predictions, network)
            return Prediction(network, light, ab, len(predictions), sure if confidence else None)
        return Prediction(network, light, ab, 1, self._mirrored(grey(light), ab, confidence))

    def original(self, photo: ImageArray, network: Extent, *, confidence: bool) -> Prediction:
        """As the original pipeline sees it: squashed to a square, OpenCV's Lab."""
        seen = reference_grey(photo, network, cancel=self.cancel)
        ab = self._forward(seen)
        light = lightness(np.repeat(seen[..., None], 3, axis=2))
        return Prediction(network, light, ab, 1, self._mirrored(seen, ab, confidence))

    def _mirrored(self, seen: FloatArray, ab: FloatArray, wanted: bool) -> FloatArray | None:
        if not wanted:
            return None
        return agreement(ab, self._forward(seen[:, ::-1])[:, ::-1])

    def _forward(self, seen: FloatArray) -> FloatArray:
        """(h, w) sRGB grey in [0, 1] -> (h, w, 2) ab. Raises BadWeights for what is no number."""
        self.cancel()
        planes = np.repeat(np.ascontiguousarray(seen, np.float32)[None, None], 3, axis=1)
        ab = self.backend.predict_ab(planes)[0]  # (1, 3, h, w) -> (2, h, w)
        if not np.isfinite(ab).all():
            raise BadWeights(
                f"the network ({self.backend.name}) gave values that are not numbers: the model "
                "file is damaged. Check it with `heliochrome models verify`."
            )
        self.passed()
        return np.ascontiguousarray(ab.transpose(1, 2, 0))
