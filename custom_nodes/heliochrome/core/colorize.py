"""Photograph in, coloured photograph out: L* is kept, the network gives only chroma."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from .backends.base import Backend
from .extent import Extent
from .faces import Face
from .full_memory import memory_errors
from .guidance import NO_GUIDANCE, Guidance
from .jobs import Cancel, Progress, never_cancel, no_progress, part
from .lab import FloatArray, ImageArray, as_floats
from .memory import FreeMemory, free_bytes
from .merge import paint, paint_reference
from .notices import Notice
from .palette import compose
from .pixels import require_rgb
from .prediction import Prediction, Predictor
from .presets import SIZE_STEP
from .settings import Settings
from .sizing import Sized, predict_at_largest

_SPARSE: Final = 8  # every 8th row and column tells whether a photograph has colour
_COLOURED: Final = 0.02  # mean difference between channels; JPEG noise on grey stays below
_FORWARD_SHARE: Final = 0.8  # of the time a photograph takes, for the progress bar
_SQUARE: Final = Extent(1, 1)


@dataclass(frozen=True)
class Result:
    """image: same shape and dtype as the input, sRGB.

    network_extent: what the network saw, the largest of `passes` sizes.
    confidence: float32 in [0, 1], as the image without its channels; None when it was not
    asked for. faces: how many the skin guard looked after; None when it was off.
    """

    image: ImageArray
    network_extent: Extent
    passes: int
    notices: tuple[Notice, ...] = ()
    confidence: FloatArray | None = None
    faces: int | None = None


class Colorizer:
    """Colours photographs with one backend. Not safe to share between threads.

    free_memory: bytes that are free on a device; a host that manages memory has its own.
    """

    def __init__(self, backend: Backend, free_memory: FreeMemory = free_bytes) -> None:
        self.backend = backend
        self._free_memory = free_memory

    def colorize(
        self,
        image: ImageArray,
        settings: Settings,
        *,
        guidance: Guidance = NO_GUIDANCE,
        faces: Sequence[Face] | None = None,
        confidence: bool = False,
        out: ImageArray | None = None,
        progress: Progress = no_progress,
        cancel: Cancel = never_cancel,
    ) -> Result:
        """Colour one photograph.

        image: (H, W, 3) sRGB RGB, uint8 | uint16 | float32 in [0, 1]. confidence: also measure
        how far the network agrees with itself. faces: for the skin guard, where they are known
        already; None looks for them. out: where the result goes, of the same shape and
        type; it may be `image` itself, which saves its memory. Where memory does not allow the
        size of the settings a smaller one is used, and a notice says so. Raises BadImage for
        another shape, dtype or NaN, BadWeights if the network gives NaN, OutOfMemory, and
        whatever `cancel` raises; `out` is then not finished.
        """
        require_rgb(image, "photograph")
        with memory_errors("colour the photograph"):
            had_colour = _had_colour(image)
            sized = self._predict(image, settings, confidence, progress, cancel)
            found = sized.value
            out = np.empty_like(image) if out is None else out
            painting = part(progress, _FORWARD_SHARE, 1)
            if settings.reference_mode:
                paint_reference(image, found.ab, out, cancel=cancel, progress=painting)
                guarded = None
            else:
                cancel()
                palette = compose(found.ab, found.light, settings, guidance, faces)
                guarded = palette.faces
                paint(
                    image,
                    found.light,
                    palette.ab,
                    out,
                    guide=settings.chroma_guide,
                    edge_sigma=settings.edge_sigma,
                    cancel=cancel,
                    progress=painting,
                )
            sure = _enlarged(found.confidence, Extent.of(image.shape))
        told = (
            sized.notice or _snapped(settings.size, found.network),
            _fewer_passes(settings, found),
            had_colour,
        )
        return Result(
            image=out,
            network_extent=found.network,
            passes=found.passes,
            notices=tuple(notice for notice in told if notice is not None),
            confidence=sure,
            faces=guarded,
        )

    def _predict(
        self,
        image: ImageArray,
        settings: Settings,
        confidence: bool,
        progress: Progress,
        cancel: Cancel,
    ) -> Sized[Prediction]:
        passes = 1 if settings.reference_mode else settings.ensemble
        forwards = 2 if confidence and passes == 1 else passes  # the mirrored picture
        steps = _Forwards(part(progress, 0, _FORWARD_SHARE), forwards)
        predictor = Predictor(self.backend, cancel, steps.passed)

        def predict(network: Extent) -> Prediction:
            steps.begin()
            if settings.reference_mode:
                return predictor.original(image, network, confidence=confidence)
            return predictor.natural(image, network, passes, confidence=confidence)

        return predict_at_largest(
            predict,
            photo=_SQUARE if settings.reference_mode else Extent.of(image.shape),
            asked=settings.size,
            backend=self.backend,
            free_memory=self._free_memory,
        )


@dataclass
class _Forwards:
    """Progress over the forward passes of one photograph; a smaller size begins anew."""

    progress: Progress
    total: int
    done: int = 0
    most: int = 0

    def begin(self) -> None:
        self.done = 0

    def passed(self) -> None:
        self.done += 1
        self.most = max(self.most, self.done)  # a bar never goes back
        self.progress(min(self.most, self.total), self.total)


def _enlarged(confidence: FloatArray | None, full: Extent) -> FloatArray | None:
    if confidence is None:
        return None
    size = (full.width, full.height)
    large: FloatArray = cv2.resize(confidence, size, interpolation=cv2.INTER_LINEAR)
    return large


def _snapped(asked: int, network: Extent) -> Notice | None:
    used = max(network.width, network.height)
    if used == asked:
        return None
    text = f"Size {used} was used, not {asked}: sizes are multiples of {SIZE_STEP}."
    return Notice("size-snapped", text, {"asked": asked, "used": used, "step": SIZE_STEP})


def _fewer_passes(settings: Settings, found: Prediction) -> Notice | None:
    asked, used = settings.ensemble, found.passes
    if settings.reference_mode or used == asked:
        return None
    size = max(found.network.width, found.network.height)
    text = (
        f"The network was run at {used} sizes, not {asked}: below {size} there is no room for more."
        if used > 1
        else f"The network was run once, not at {asked} sizes: below {size} there is no room."
    )
    return Notice("ensemble-reduced", text, {"asked": asked, "used": used, "size": size})


def _had_colour(image: ImageArray) -> Notice | None:
    sparse = as_floats(image[::_SPARSE, ::_SPARSE])
    if np.ptp(sparse, axis=-1).mean() <= _COLOURED:
        return None
    text = "The photograph already has colour or a tint: only its lightness was used."
    return Notice("had-colour", text)
