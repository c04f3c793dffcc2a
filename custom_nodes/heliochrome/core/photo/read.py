"""Reading a photograph of any common kind into upright sRGB pixels."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from .. import xmp
from ..errors import BadImage
from ..extent import Extent
from ..provenance import Provenance, from_xmp
from . import exif, jpeg, orientation, png, profiles, tiff, webp
from .decode import Decoded, decode, measure
from .ifd import MalformedIfd
from .model import Embedded, Metadata, Photo, PhotoFormat, Pixels
from .source import FileKind, open_photo

MAX_PIXELS: Final = 250_000_000

_WRITTEN_AS: Final[dict[FileKind, PhotoFormat]] = {
    "jpeg": "jpeg",
    "png": "png",
    "tiff": "tiff",
    "webp": "webp",
    "gif": "png",
    "bmp": "png",
}
_READERS: Final[dict[FileKind, Callable[[BinaryIO], Embedded]]] = {
    "jpeg": jpeg.read,
    "png": png.read,
    "tiff": tiff.read,
    "webp": webp.read,
}


def read_photo(
    path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS, keep_stored: bool = False
) -> Photo:
    """Read JPEG, PNG, TIFF, WebP, BMP or GIF, told apart by content and not by name.

    Grey, RGB, palette and CMYK of 1 to 16 bits become uint8 or uint16 sRGB RGB; 16 bits stay
    16. max_pixels is checked against the header before anything is decoded. Of several pages
    or frames the first is read, and `notes` says so. keep_stored: fill in `Photo.stored`, for
    results that keep some of the photograph's pixels as they are; it takes memory.

    Raises BadImage, one sentence set with the path in front, for whatever cannot be read whole.
    """
    path = Path(path)
    try:
        with open_photo(path) as (file, kind):
            return _read(file, kind, max_pixels, path, keep_stored)
    except BadImage as error:
        raise BadImage(f"{path}: {error}") from error


@dataclass(frozen=True)
class Description:
    """What a file's first bytes tell. format: what a result of it is written as."""

    format: PhotoFormat
    provenance: Provenance | None


def describe(path: str | os.PathLike[str]) -> Description:
    """Look into a photograph without decoding its pixels. Raises BadImage."""
    path = Path(path)
    try:
        with open_photo(path) as (file, kind):
            found = _embedded(file, kind).metadata.xmp
            return Description(_WRITTEN_AS[kind], from_xmp(found) if found else None)
    except BadImage as error:
        raise BadImage(f"{path}: {error}") from error


def inspect(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Extent:
    """The size of an upright photograph that is whole: all of it is decoded, and none kept.

    Raises BadImage as `read_photo` does.
    """
    path = Path(path)
    try:
        with open_photo(path) as (file, kind):
            found = _embedded(file, kind)
            extent = measure(file, kind, max_pixels)
    except BadImage as error:
        raise BadImage(f"{path}: {error}") from error
    turned = orientation.is_turned(found.orientation)
    return Extent(extent.height, extent.width) if turned else extent


def result_record(path: str | os.PathLike[str]) -> Provenance | None:
    """Our record in a file; None for anything that we did not make, photograph or not."""
    try:
        return describe(path).provenance
    except BadImage:
        return None


def _read(file: BinaryIO, kind: FileKind, max_pixels: int, path: Path, keep_stored: bool) -> Photo:
    found = _embedded(file, kind)
    profile = found.metadata.icc
    decoded = decode(file, kind, profile, max_pixels)
    pixels = orientation.apply(decoded.colour, found.orientation)
    alpha = decoded.alpha
    notes = (*found.notes, *decoded.notes)
    if alpha is not None:
        alpha = orientation.apply(alpha, found.orientation)
    route, stored = decoded.colours.route, None
    if route == "both-ways" and profile:
        stored = pixels if keep_stored else None
        pixels = profiles.to_srgb(pixels, profile)
        alpha = _widened(alpha)
    elif route == "curve" and profile:
        pixels = profiles.apply_grey(pixels, profile)
        notes = (*notes, "The grey colour profile was replaced by sRGB, as the result has colour.")
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., np.newaxis], 3, axis=2)
    return Photo(
        pixels=pixels,
        alpha=alpha,
        format=_WRITTEN_AS[kind],
        bit_depth=decoded.bit_depth,
        metadata=_for_output(found.metadata, decoded),
        lossless=found.lossless,
        returns_to_profile=route == "both-ways",
        stored=stored,
        source=path.absolute(),
        notes=notes,
    )


def _embedded(file: BinaryIO, kind: FileKind) -> Embedded:
    """The file's metadata, upright, without thumbnails and without what cannot be parsed."""
    if kind not in _READERS:
        return Embedded()
    try:
        found = _READERS[kind](file)
    except (MalformedIfd, OSError) as error:
        raise BadImage(f"The file is damaged ({error}). Copy it again.") from error
    metadata, notes, turn = found.metadata, list(found.notes), found.orientation
    if metadata.exif and kind != "tiff":
        try:
            block = exif.make_upright(metadata.exif)
            turn = block.orientation
            dpi = (
                metadata.dpi[::-1] if metadata.dpi and orientation.is_turned(turn) else metadata.dpi
            )
            dpi = dpi or exif.dpi_of(block.block)
            metadata = replace(metadata, exif=block.block, dpi=dpi)
        except MalformedIfd as error:
            metadata = replace(metadata, exif=None)
            notes.append(f"The EXIF data is damaged and was left out ({error}).")
    if metadata.xmp:
        try:
            packet = xmp.upright(metadata.xmp, turned=orientation.is_turned(turn))
            metadata = replace(metadata, xmp=packet)
        except xmp.MalformedXmp as error:
            metadata = replace(metadata, xmp=None)
            notes.append(f"The XMP data is malformed and was left out ({error}).")
    return replace(found, metadata=metadata, orientation=turn, notes=tuple(notes))


def _for_output(metadata: Metadata, decoded: Decoded) -> Metadata:
    """`metadata` with the profile that fits the pixels as they will be written."""
    route = decoded.colours.route
    if route == "none":
        return replace(metadata, icc=None)
    if route in ("curve", "engine"):
        private = png.without_colour_chunks(metadata.private)
        return replace(metadata, icc=profiles.srgb_profile(), private=private)
    return metadata


def _widened(alpha: Pixels | None) -> Pixels | None:
    """Alpha in the 16 bits that a converted profile's pixels have."""
    if alpha is None or alpha.dtype == np.uint16:
        return alpha
    return alpha.astype(np.uint16) * np.uint16(257)
