"""Photograph in, coloured photograph out: L* is kept, the network gives only chroma."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from .backends.base import Backend
from .chroma import ChromaUpsampler, limit_chroma
from .errors import BadImage, BadWeights
from .extent import Extent
from .jobs import Cancel, Progress, never_cancel, no_progress
from .lab import FloatArray, ImageArray, full_scale, grey, lab_to_srgb, lightness, quantize
from .notices import Notice
from .presets import SIZE_STEP
from .settings import Settings
from .strips import strips

# Two predictions this far apart (CIE76 colour difference of ab) count as half agreement.
_CONFIDENCE_DELTA: Final = 10.0
_SPARSE: Final = 8  # every 8th row and column tells whether a photograph has colour
_COLOURED: Final = 0.02  # mean difference between channels; JPEG noise on grey stays below
_FORWARD_SHARE: Final = 0.7  # of the time a photograph takes, for the progress bar


@dataclass(frozen=True)
class Result:
    """image: same shape and dtype as the input, sRGB.

    network_extent: what the network saw; None when no network was used.
    confidence: (B, H, W) or (H, W) float32 in [0, 1] as the input was batched, or None
    when it was not asked for.
    """

    image: ImageArray
    network_extent: Extent | None
    notices: tuple[Notice, ...] = ()
    confidence: FloatArray | None = None


class Colorizer:
    """Colours photographs with one backend. Not safe to share between threads."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def colorize(
        self,
        image: ImageArray,
        settings: Settings,
        *,
        confidence: bool = False,
        progress: Progress = no_progress,
        cancel: Cancel = never_cancel,
    ) -> Result:
        """Colour one photograph, or a batch one after the other.

        image: (H, W, 3) or (B, H, W, 3) sRGB RGB, uint8 | uint16 | float32 in [0, 1].
        confidence: also measure how far the network agrees with itself on the mirrored
        picture (a second forward pass). Raises BadImage for another shape, dtype or NaN,
        BadWeights if the network gives NaN, OutOfMemory, and whatever `cancel` raises.
        """
        _check(image)
        batch = image if image.ndim == 4 else image[None]
        coloured = np.empty_like(batch)
        passes = 2 if confidence else 1
        sure = np.empty(batch.shape[:3], np.float32) if confidence else None
        extent = Extent.of(batch.shape[1:])
        network = (
            Extent(settings.size, settings.size).fit(settings.size, SIZE_STEP)
            if settings.reference
            else extent.fit(settings.size, SIZE_STEP)
        )
        paint = _reference if settings.reference else _natural
        for i, photo in enumerate(batch):
            steps = _Steps(progress, i, len(batch), passes)
            job = _Job(self.backend, settings, network, cancel, steps)
            paint(job, photo, coloured[i])
            if sure is not None:
                sure[i] = job.agreement(photo)
        progress(1, 1)
        single = image.ndim == 3
        return Result(
            image=coloured[0] if single else coloured,
            network_extent=network,
            notices=_notices(settings, network, batch),
            confidence=sure[0] if single and sure is not None else sure,
        )


@dataclass
class _Steps:
    """Progress over a batch: forward passes count for `_FORWARD_SHARE` of a photograph."""

    progress: Progress
    index: int
    count: int
    passes: int
    done: float = 0.0

    def forward(self) -> None:
        self._add(_FORWARD_SHARE / self.passes)

    def painted(self, fraction: float) -> None:
        """`fraction` of the rows more have been painted."""
        self._add((1 - _FORWARD_SHARE) * fraction)

    def _add(self, share: float) -> None:
        self.done += share
        self.progress(int(1000 * (self.index + min(self.done, 1.0))), 1000 * self.count)


@dataclass
class _Job:
    """One photograph on its way through the network."""

    backend: Backend
    settings: Settings
    network: Extent
    cancel: Cancel
    steps: _Steps
    seen: FloatArray | None = None  # (h, w) the grey the network saw, sRGB in [0, 1]
    ab: FloatArray | None = None  # (h, w, 2) what it gave

    def predict(self, seen: FloatArray) -> FloatArray:
        """(h, w) sRGB grey in [0, 1] -> (h, w, 2) ab. Raises BadWeights for what is no number."""
        self.cancel()
        self.seen = np.ascontiguousarray(seen, np.float32)
        planes = np.repeat(self.seen[None, None], 3, axis=1)  # (1, 3, h, w)
        ab = self.backend.predict_ab(planes)[0]  # (2, h, w)
        if not np.isfinite(ab).all():
            raise BadWeights(
                f"the network ({self.backend.name}) gave values that are not numbers: the model "
                "file is damaged. Check it with `heliochrome models verify`."
            )
        self.ab = np.ascontiguousarray(ab.transpose(1, 2, 0))
        self.steps.forward()
        return self.ab

    def agreement(self, photo: ImageArray) -> FloatArray:
        """(H, W) in [0, 1]: 1 where the mirrored picture gets the same chroma."""
        ab, seen = self.ab, self.seen
        assert ab is not None and seen is not None
        mirrored = self.predict(seen[:, ::-1])[:, ::-1]
        distance = np.hypot(*np.moveaxis(ab - mirrored, 2, 0)) / _CONFIDENCE_DELTA
        agreed = (1 / (1 + distance**2)).astype(np.float32)
        height, width = photo.shape[:2]
        full: FloatArray = cv2.resize(agreed, (width, height), interpolation=cv2.INTER_LINEAR)
        return full


def _natural(job: _Job, photo: ImageArray, out: ImageArray) -> None:
    """The default: aspect kept, guided chroma, L* exact."""
    settings, full = job.settings, Extent.of(photo.shape)
    pieces = strips(full)
    light = np.empty(photo.shape[:2], np.float32)
    for top, bottom in pieces:
        job.cancel()
        light[top:bottom] = lightness(photo[top:bottom])
    size = (job.network.width, job.network.height)
    shrinks = full.width >= size[0] and full.height >= size[1]
    small = cv2.resize(light, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    ab = job.predict(grey(small))
    ab = limit_chroma(ab * np.float32(settings.saturation), settings.chroma_limit)
    ab *= np.float32(settings.strength)
    chroma = ChromaUpsampler(small, ab, full, settings.chroma_guide, settings.edge_sigma)
    for top, bottom in pieces:
        job.cancel()
        rows = light[top:bottom]
        out[top:bottom] = quantize(lab_to_srgb(rows, chroma.rows(top, bottom, rows)), out.dtype)
        job.steps.painted(1 / len(pieces))


def _reference(job: _Job, photo: ImageArray, out: ImageArray) -> None:
    """The original pipeline: square input, OpenCV's Lab, nearest chroma, clipped channels."""
    rgb = photo.astype(np.float32) / np.float32(full_scale(photo.dtype))
    light = cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab)[..., :1]
    small = cv2.resize(rgb, (job.network.width, job.network.height))
    small_light = cv2.cvtColor(small, cv2.COLOR_RGB2Lab)[..., :1]
    neutral = np.pad(small_light, ((0, 0), (0, 0), (0, 2)))  # L, a = b = 0
    ab = job.predict(cv2.cvtColor(neutral, cv2.COLOR_LAB2RGB)[..., 0])
    # torch's "nearest" takes floor(i * in / out), which OpenCV's INTER_NEAREST also does
    full = cv2.resize(ab, (photo.shape[1], photo.shape[0]), interpolation=cv2.INTER_NEAREST)
    lab = np.concatenate((light, full), axis=2)
    out[:] = quantize(np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1), out.dtype)
    job.steps.painted(1.0)


def _notices(settings: Settings, network: Extent, batch: ImageArray) -> tuple[Notice, ...]:
    found = []
    used = max(network.width, network.height)
    if used != settings.size:
        text = f"Size {used} was used, not {settings.size}: sizes are multiples of {SIZE_STEP}."
        found.append(Notice("size-snapped", text))
    sparse = batch[:, ::_SPARSE, ::_SPARSE].astype(np.float32) / full_scale(batch.dtype)
    if np.ptp(sparse, axis=-1).mean() > _COLOURED:
        text = "The photograph already has colour or a tint: only its lightness was used."
        found.append(Notice("had-colour", text))
    return tuple(found)


def _check(image: ImageArray) -> None:
    good = image.ndim in (3, 4) and image.shape[-1] == 3 and image.size > 0
    if not good or image.dtype not in (np.uint8, np.uint16, np.float32):
        raise BadImage(
            "expected RGB pixels of shape (H, W, 3) or (B, H, W, 3), uint8, uint16 or float32; "
            f"got shape {image.shape}, {image.dtype}."
        )
    if image.dtype == np.float32 and not np.isfinite(image).all():
        raise BadImage(
            "expected numbers from 0 to 1, got pixels that are NaN or infinite: repair the picture "
            "before colouring it."
        )
