"""Pixels into a file format with libvips, without any metadata."""

from __future__ import annotations

import os
from typing import Any, BinaryIO, Final

import numpy as np

from ..lab import full_scale
from .model import BitDepth, PhotoFormat, Pixels
from .profiles import DTYPES

JPEG_QUALITY: Final = 95
WEBP_QUALITY: Final = 95
# A classic TIFF ends at 4 GiB; this leaves room for tables and for deflate finding nothing.
_CLASSIC_TIFF: Final = 3_900_000_000
_STRIP: Final = 1 << 22  # values worked on at a time
LARGEST_SIDE: Final[dict[PhotoFormat, int]] = {"jpeg": 65_500, "webp": 16_383}

_OPTIONS: Final[dict[PhotoFormat, dict[str, Any]]] = {
    # Not optimize_coding: it holds every coefficient, 1.1 GiB more for 100 megapixels.
    "jpeg": {"Q": JPEG_QUALITY, "subsample_mode": "off"},
    "png": {"compression": 6, "filter": "paeth"},
    "tiff": {"compression": "deflate", "predictor": "horizontal"},
    "webp": {"Q": WEBP_QUALITY, "smart_subsample": True, "exact": True},
}


def encode(
    file: BinaryIO, pixels: Pixels, alpha: Pixels | None, name: PhotoFormat, *, lossless: bool
) -> None:
    """Write (H, W, 3) `pixels` and (H, W) `alpha` of the same type to the start of `file`.

    lossless matters to WebP. Raises pyvips.Error, also when the disk is full.
    """
    import pyvips

    image = _image(pixels)
    if alpha is not None:
        image = image.bandjoin(_image(alpha[..., np.newaxis]))
    options = dict(_OPTIONS[name])
    if name == "webp" and lossless:
        options["lossless"] = True
    if name == "tiff":
        values = pixels.nbytes + (alpha.nbytes if alpha is not None else 0)
        options["bigtiff"] = values > _CLASSIC_TIFF
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    target = pyvips.Target.new_to_descriptor(file.fileno())
    pyvips.Operation.call(f"{name}save_target", image, target, keep="none", **options)


def to_depth(values: Pixels, depth: BitDepth) -> Pixels:
    """The same codes at `depth` bits: 8 to 16 is exact, 16 to 8 rounds. Works in strips."""
    dtype = np.dtype(DTYPES[depth])
    if values.dtype == dtype:
        return values
    if depth == 16:
        return values.astype(np.uint16) * np.uint16(257)
    result: Pixels = np.empty(values.shape, dtype)
    rows = _rows_per_strip(values)
    for top in range(0, len(values), rows):
        result[top : top + rows] = (values[top : top + rows].astype(np.uint32) + 128) // 257
    return result


def flattened(pixels: Pixels, alpha: Pixels) -> Pixels:
    """`pixels` on white paper where `alpha` is transparent, for formats without alpha."""
    white = full_scale(pixels.dtype)
    result = np.empty_like(pixels)
    rows = _rows_per_strip(pixels)
    for top in range(0, len(pixels), rows):
        strip = slice(top, top + rows)
        cover = alpha[strip, :, np.newaxis].astype(np.float32) / white
        result[strip] = np.rint(pixels[strip] * cover + white * (1 - cover))
    return result


def _rows_per_strip(values: Pixels) -> int:
    return max(1, _STRIP // max(values[:1].size, 1))


def _image(values: Pixels) -> Any:
    import pyvips

    height, width, bands = values.shape
    wide = values.dtype == np.uint16
    image = pyvips.Image.new_from_memory(
        np.ascontiguousarray(values).data, width, height, bands, "ushort" if wide else "uchar"
    )
    return image.copy(interpretation="rgb16" if wide else "srgb")
