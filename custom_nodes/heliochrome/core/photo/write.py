"""Writing a result with everything its input said, marked as what it is."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import BadImage, OutputExists, OutputFailed
from ..provenance import Provenance, to_xmp
from ..xmp import MalformedXmp
from . import exif, jpeg, png, profiles, publish, tiff, webp
from .encode import LARGEST_SIDE, encode, flattened, to_depth
from .model import SUFFIXES, BitDepth, Metadata, Photo, PhotoFormat, Pixels, format_of_suffix
from .read import result_record

_HOLDS_16_BITS: Final = ("png", "tiff")
_HOLDS_ALPHA: Final = ("png", "tiff", "webp")
_HOLDS_IPTC: Final = ("jpeg", "png", "tiff")


def write_photo(
    path: str | os.PathLike[str],
    pixels: Pixels,
    like: Photo,
    provenance: Provenance,
    *,
    kept: NDArray[np.bool_] | None = None,
    overwrite: bool = False,
    allow_loss: bool = False,
) -> tuple[str, ...]:
    """Write `pixels` to `path` with the alpha, metadata, profile and bit depth of `like`.

    pixels: (H, W, 3) uint8 or uint16 sRGB, as large as `like`. kept: (H, W), true where
    `like.stored` is written instead, so that not even the way to sRGB and back shows there.
    The format is that of the suffix: JPEG at quality 95 without chroma subsampling, PNG, TIFF
    (deflate), or WebP (lossless if the input was). What that format cannot hold is an error,
    unless `allow_loss` says that the caller chose the format knowingly; then it is left out and
    told in the returned sentences, which are empty if nothing was lost.

    The file appears whole or not at all. The input is never overwritten, under any name or
    link; with `overwrite` only results of ours are replaced. Raises BadImage, OutputExists
    or OutputFailed.
    """
    path = Path(path)
    name = format_of_suffix(path)
    if name is None:
        known = ", ".join(suffix for group in SUFFIXES.values() for suffix in group)
        raise BadImage(f"{path}: expected a name that ends in one of {known}.")
    _require_fitting(pixels, like, name, path)
    target = publish.destination(path, like.source, overwrite=overwrite)
    if overwrite:
        _require_replaceable(target)
    metadata = replace(like.metadata, xmp=to_xmp(provenance, like.metadata.xmp))
    metadata, losses = _held_by(name, like, metadata)
    if losses and not allow_loss:
        raise BadImage(
            f"{path}: a {name.upper()} cannot hold all of this photograph. {' '.join(losses)} "
            f"Use {SUFFIXES[like.format][0]}, or choose {name.upper()} explicitly."
        )
    depth: BitDepth = like.bit_depth if name in _HOLDS_16_BITS else 8
    colour, alpha = _stored_values(pixels, like, name, depth, kept)
    with publish.new_file(target, overwrite=overwrite) as file:
        _write(file, target, colour, alpha, name, metadata, like.lossless)
    return losses


def _write(
    file: BinaryIO,
    target: Path,
    colour: Pixels,
    alpha: Pixels | None,
    name: PhotoFormat,
    metadata: Metadata,
    lossless: bool,
) -> None:
    import pyvips

    try:
        if name == "tiff":
            encode(file, colour, alpha, name, lossless=lossless)
            tiff.complete(file, metadata)
            return
        # Nameless, so that not even a killed process leaves it behind.
        with tempfile.TemporaryFile(dir=target.parent) as encoded:
            encode(encoded, colour, alpha, name, lossless=lossless)
            if name == "jpeg":
                jpeg.wrap(encoded, file, metadata)
            elif name == "png":
                png.wrap(encoded, file, metadata)
            else:
                webp.wrap(encoded, file, metadata, size=(colour.shape[1], colour.shape[0]))
    except pyvips.Error as error:
        raise publish.failed(target, " ".join(str(error).split())) from error
    except MalformedXmp as error:
        raise OutputFailed(f"{target}: the XMP data cannot be stored, as {error}.") from error


def _require_replaceable(target: Path) -> None:
    """Only a result of ours may be replaced, or an empty file, which a killed process leaves on
    disks without hard links. Anything else may be somebody's only copy."""
    if not target.exists() or target.stat().st_size == 0:
        return
    if result_record(target) is None:
        raise OutputExists(
            f"{target} is there and was not made by Heliochrome, so it is not replaced, even with "
            "overwriting allowed. Choose another folder, or move the file away."
        )


def _require_fitting(pixels: Pixels, like: Photo, name: PhotoFormat, path: Path) -> None:
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.shape != like.pixels.shape:
        raise BadImage(
            f"{path}: expected uint8 or uint16 pixels of shape {like.pixels.shape}, "
            f"but they are {pixels.dtype} {pixels.shape}."
        )
    height, width = pixels.shape[:2]
    largest = LARGEST_SIDE.get(name)
    if largest is not None and max(height, width) > largest:
        raise BadImage(
            f"{path}: a {name.upper()} has at most {largest} pixels a side, but the photograph is "
            f"{width} x {height}. Write a PNG or TIFF."
        )


def _held_by(
    name: PhotoFormat, like: Photo, metadata: Metadata
) -> tuple[Metadata, tuple[str, ...]]:
    """`metadata` as format `name` can hold it, and sentences on all that it cannot hold."""
    losses = []
    if like.bit_depth == 16 and name not in _HOLDS_16_BITS:
        losses.append("16 bits per channel become 8.")
    if like.alpha is not None and name not in _HOLDS_ALPHA:
        losses.append("The transparent parts become white.")
    if (metadata.iptc or metadata.image_resources) and name not in _HOLDS_IPTC:
        metadata = replace(metadata, iptc=None, image_resources=None)
        losses.append("The IPTC record is left out.")
    if metadata.private and name != like.format:
        metadata = replace(metadata, private=())
        losses.append(f"Comments and blocks that only a {like.format.upper()} has are left out.")
    if metadata.exif and name == "jpeg" and len(metadata.exif) > jpeg.LARGEST_EXIF:
        metadata = replace(metadata, exif=None)
        losses.append("The EXIF data is too long and is left out.")
    if metadata.dpi and name == "webp" and not metadata.exif:
        metadata = replace(metadata, exif=exif.build(exif.resolution_tags(metadata.dpi, "<"), "<"))
    return metadata, tuple(losses)


def _stored_values(
    pixels: Pixels,
    like: Photo,
    name: PhotoFormat,
    depth: BitDepth,
    kept: NDArray[np.bool_] | None,
) -> tuple[Pixels, Pixels | None]:
    """The values to encode: in the photograph's own profile, at `depth` bits."""
    alpha = like.alpha
    if alpha is not None and name not in _HOLDS_ALPHA:
        both: BitDepth = 16 if np.uint16 in (pixels.dtype, alpha.dtype) else 8
        pixels, alpha = flattened(to_depth(pixels, both), to_depth(alpha, both)), None
        kept = None  # nothing stays as it was under transparent parts
    if alpha is not None:
        alpha = to_depth(alpha, depth)
    if like.returns_to_profile and like.metadata.icc:
        colour = profiles.from_srgb(pixels, like.metadata.icc, depth)
        if kept is not None and like.stored is not None:
            np.copyto(colour, to_depth(like.stored, depth), where=kept[..., np.newaxis])
        return colour, alpha
    return to_depth(pixels, depth), alpha
