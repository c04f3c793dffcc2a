"""The network's chroma and the photograph's own L*, joined at full size strip by strip."""

from __future__ import annotations

import cv2
import numpy as np

from .chroma import ChromaUpsampler
from .extent import Extent
from .jobs import Cancel, Progress, never_cancel, no_progress
from .lab import (
    FloatArray,
    ImageArray,
    as_floats,
    decode_table,
    full_scale,
    lab_to_srgb,
    lightness,
    quantize,
    readable,
)
from .presets import ChromaGuide
from .strips import DEFAULT_PLAN, StripPlan, over_strips


def paint(
    photo: ImageArray,
    light_small: FloatArray,
    ab: FloatArray,
    out: ImageArray,
    *,
    guide: ChromaGuide,
    edge_sigma: float,
    cancel: Cancel = never_cancel,
    progress: Progress = no_progress,
    plan: StripPlan = DEFAULT_PLAN,
) -> None:
    """Give `photo` the chroma `ab` and write the result to `out`; L* stays as it is.

    photo, out: (H, W, 3) sRGB uint8 | uint16 | float32 in [0, 1], of the same type; `out` may
    be `photo` itself, else they must not share memory. light_small: (h, w) float32 L*, the
    picture that the network saw; ab: (h, w, 2) float32 CIE a*b*. guide and edge_sigma as in
    `ChromaUpsampler`. A colour outside sRGB loses chroma, as in `lab_to_srgb`.
    progress: rows painted. Raises OutOfMemory and whatever `cancel` raises; `out` is then
    partly painted.
    """
    from . import kernels

    full = Extent.of(photo.shape)
    chroma = ChromaUpsampler(light_small, ab, full, guide, edge_sigma)
    table, white = decode_table(photo.dtype), np.float32(full_scale(photo.dtype))

    def strip(top: int, bottom: int) -> None:
        target = out[top:bottom]
        whole = target.flags.c_contiguous and target.flags.aligned
        given = target if whole else np.empty(target.shape, target.dtype)
        kernels.paint(
            readable(photo[top:bottom]), given, table, white, *chroma.sources(top, bottom)
        )
        if not whole:
            target[...] = given

    over_strips(full, strip, cancel=cancel, progress=progress, plan=plan)


def paint_reference(
    photo: ImageArray,
    ab: FloatArray,
    out: ImageArray,
    *,
    cancel: Cancel = never_cancel,
    progress: Progress = no_progress,
    plan: StripPlan = DEFAULT_PLAN,
) -> None:
    """The original pipeline's last step: OpenCV's Lab, nearest chroma, clipped channels.

    Arguments and errors as in `paint`. Bit for bit what OpenCV gives for the whole picture.
    """
    full = Extent.of(photo.shape)
    small = Extent.of(ab.shape)
    columns = _nearest(small.width, full.width)
    rows = _nearest(small.height, full.height)

    def strip(top: int, bottom: int) -> None:
        lab = cv2.cvtColor(as_floats(photo[top:bottom]), cv2.COLOR_RGB2Lab)  # (rows, W, 3)
        lab[..., 1:] = ab[rows[top:bottom, None], columns]
        coloured = np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)
        out[top:bottom] = quantize(coloured, out.dtype)

    over_strips(full, strip, cancel=cancel, progress=progress, plan=plan)


def recolor(
    photo: ImageArray,
    coloured: ImageArray,
    out: ImageArray,
    *,
    cancel: Cancel = never_cancel,
    plan: StripPlan = DEFAULT_PLAN,
) -> None:
    """Give `photo` the a*b* of `coloured`, a rendering of it with fewer bits; L* stays as it is.

    photo, out: (H, W, 3) sRGB uint8 | uint16 | float32 in [0, 1], of the same type; `out` may be
    `photo` itself. coloured: (H, W, 3) sRGB of any of these types. Errors as in `paint`.
    """

    def strip(top: int, bottom: int) -> None:
        ab = cv2.cvtColor(as_floats(coloured[top:bottom]), cv2.COLOR_RGB2Lab)[..., 1:]
        light = lightness(photo[top:bottom])
        out[top:bottom] = quantize(lab_to_srgb(light, np.ascontiguousarray(ab)), out.dtype)

    over_strips(Extent.of(photo.shape), strip, cancel=cancel, plan=plan)


def _nearest(size_in: int, size_out: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """The input pixel that OpenCV's INTER_NEAREST takes for each output pixel: asked of OpenCV.

    torch's "nearest", which the original uses, takes the same ones: floor(i * in / out).
    """
    line = np.arange(size_in, dtype=np.float32)[None]
    taken: np.ndarray[tuple[int], np.dtype[np.intp]] = cv2.resize(
        line, (size_out, 1), interpolation=cv2.INTER_NEAREST
    )[0].astype(np.intp)
    return taken
