"""Photograph in, coloured photograph out: L* is kept, the network gives only chroma."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from .backends.base import Backend
from .errors import BadImage, OutOfMemory
from .extent import Extent
from .guidance import NO_GUIDANCE, Guidance
from .jobs import Cancel, Progress, never_cancel, no_progress, part
from .lab import FloatArray, ImageArray, full_scale
from .memory import FreeMemory, free_bytes, memory_errors
from .merge import paint, paint_reference
from .notices import Notice
from .palette import compose
from .prediction import Prediction, Predictor
from .presets import SIZE_STEP
from .settings import Settings
from .sizing import predict_at_largest

_SPARSE: Final = 8  # every 8th row and column tells whether a photograph has colour
_COLOURED: Final = 0.02  # mean difference between channels; JPEG noise on grey stays below
_FORWARD_SHARE: Final = 0.8  # of the time a photograph takes, for the progress bar
_SQUARE: Final = Extent(1, 1)
_COLOURING: Final = "colour the photograph"


@dataclass(frozen=True)
class Result:
    """image: same shape and dtype as the input, sRGB.

    network_extent: what the network saw; None when no network was used.
    confidence: float32 in [0, 1], as the image without its channels; None when it was not
    asked for. faces: how many the skin guard looked after; None when it was off.
    """

    image: ImageArray
    network_extent: Extent | None
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
        confidence: bool = False,
        out: ImageArray | None = None,
        progress: Progress = no_progress,
        cancel: Cancel = never_cancel,
    ) -> Result:
        """Colour one photograph.

        image: (H, W, 3) sRGB RGB, uint8 | uint16 | float32 in [0, 1]. confidence: also measure
        how far the network agrees with itself. out: where the result goes, of the same shape and
        type; it may be `image` itself, which saves its memory. Where memory does not allow the
        size of the settings a smaller one is used, and a notice says so. Raises BadImage for
        another shape, dtype or NaN, BadWeights if the network gives NaN, OutOfMemory, and
        whatever `cancel` raises; `out` is then not finished.
        """
        _check(image)
        had_colour = _had_colour(image)
        passes = 1 if settings.reference_mode else settings.ensemble
        forwards = 2 if confidence and passes == 1 else passes  # the mirrored picture
        steps = _Forwards(part(progress, 0, _FORWARD_SHARE), forwards)
        predictor = Predictor(self.backend, cancel, steps.passed)

        def predict(network: Extent) -> Prediction:
            steps.begin()
            if settings.reference_mode:
                return predictor.original(image, network, confidence=confidence)
            return predictor.natural(image, network, passes, confidence=confidence)

        sized = predict_at_largest(
            predict,
            photo=_SQUARE if settings.reference_mode else Extent.of(image.shape),
            asked=settings.size // SIZE_STEP * SIZE_STEP,
            backend=self.backend,
            free_memory=self._free_memory,
        )
        found = sized.value
        painting = part(progress, _FORWARD_SHARE, 1)
        out = _room_for(image) if out is None else out
        faces = None
        if settings.reference_mode:
            paint_reference(image, found.ab, out, cancel=cancel, progress=painting)
        else:
            cancel()
            with memory_errors(_COLOURING):
                palette = compose(found.ab, found.light, settings, guidance)
            faces = palette.faces
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
        told = (sized.notice or _snapped(settings.size, found.network), had_colour)
        with memory_errors(_COLOURING):
            sure = _enlarged(found.confidence, Extent.of(image.shape))
        return Result(
            image=out,
            network_extent=found.network,
            notices=tuple(notice for notice in told if notice is not None),
            confidence=sure,
            faces=faces,
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


def _room_for(image: ImageArray) -> ImageArray:
    try:
        return np.empty_like(image)
    except MemoryError as error:
        raise OutOfMemory(
            f"not enough memory for a second picture of {Extent.of(image.shape)}: close other "
            "programs, or colour a smaller copy."
        ) from error


def _snapped(asked: int, network: Extent) -> Notice | None:
    used = max(network.width, network.height)
    if used == asked:
        return None
    text = f"Size {used} was used, not {asked}: sizes are multiples of {SIZE_STEP}."
    return Notice("size-snapped", text, {"asked": asked, "used": used, "step": SIZE_STEP})


def _had_colour(image: ImageArray) -> Notice | None:
    sparse = image[::_SPARSE, ::_SPARSE].astype(np.float32) / full_scale(image.dtype)
    if np.ptp(sparse, axis=-1).mean() <= _COLOURED:
        return None
    text = "The photograph already has colour or a tint: only its lightness was used."
    return Notice("had-colour", text)


def _check(image: ImageArray) -> None:
    good = image.ndim == 3 and image.shape[-1] == 3 and image.size > 0
    if not good or image.dtype not in (np.uint8, np.uint16, np.float32):
        raise BadImage(
            "expected RGB pixels of shape (H, W, 3), uint8, uint16 or float32; "
            f"got shape {image.shape}, {image.dtype}."
        )
    # The least and the greatest of pixels with a NaN are NaN; no plane of flags is made.
    if image.dtype == np.float32 and not np.isfinite((image.min(), image.max())).all():
        raise BadImage(
            "expected numbers from 0 to 1, got pixels that are NaN or infinite: repair the picture "
            "before colouring it."
        )
