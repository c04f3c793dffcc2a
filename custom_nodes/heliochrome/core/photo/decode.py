"""Pixels out of a file: libvips, and Pillow for BMP."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import numpy as np

from ..errors import BadImage
from ..extent import Extent
from .model import BitDepth, Pixels
from .profiles import Plan, plan
from .source import FileKind

# libvips' name for what the bands are -> how many of them are colour.
_COLOUR_BANDS: Final = {"b-w": 1, "grey16": 1, "srgb": 3, "rgb16": 3, "cmyk": 4, "labs": 3}
_DEPTHS: Final[dict[str, BitDepth]] = {"uchar": 8, "ushort": 16}
_DAMAGED: Final = "The picture data is damaged or cut short"


@dataclass(frozen=True, eq=False)
class Decoded:
    """colour: (H, W) grey or (H, W, 3) RGB, not yet upright; alpha: (H, W) or None.

    colours: how the values relate to the file's profile, after what decoding did itself.
    """

    colour: Pixels
    alpha: Pixels | None
    bit_depth: BitDepth
    colours: Plan
    notes: tuple[str, ...] = ()


def decode(file: BinaryIO, kind: FileKind, profile: bytes | None, max_pixels: int) -> Decoded:
    """Decode the first picture of `file`. Raises BadImage before decoding if it is too large."""
    if kind == "bmp":
        return _decode_bmp(file, max_pixels)
    with _opened(file, kind, max_pixels) as image:
        return _decode(image, profile)


@contextmanager
def _opened(file: BinaryIO, kind: FileKind, max_pixels: int) -> Iterator[Any]:
    """libvips' picture, to be decoded inside. Raises BadImage."""
    import pyvips

    os.lseek(file.fileno(), 0, os.SEEK_SET)
    # The size is limited here and not by libtiff, whose own limit refuses files of one strip.
    options = {"unlimited": True} if kind == "tiff" else {}
    source = pyvips.Source.new_from_descriptor(file.fileno())
    try:
        image = pyvips.Operation.call(
            f"{kind}load_source", source, access="sequential", fail_on="error", **options
        )
        _require_size(image.width, image.height, max_pixels)
        yield image
    except (pyvips.Error, UnicodeDecodeError) as error:  # libvips may quote the damaged bytes
        raise BadImage(f"{_DAMAGED} ({_reason(error)}). Copy the file again.") from error


def measure(file: BinaryIO, kind: FileKind, max_pixels: int) -> Extent:
    """The size of the first picture of `file`, as it is stored; all of it is decoded and let go,
    in little memory. Raises BadImage as `decode` does."""
    if kind == "bmp":
        return Extent.of(_decode_bmp(file, max_pixels).colour.shape)
    with _opened(file, kind, max_pixels) as image:
        _as_rgb(image).avg()
        return Extent(image.width, image.height)


def _decode(image: Any, profile: bytes | None) -> Decoded:
    if image.interpretation == "labs":
        profile = None
    image = _as_rgb(image)
    bands, depth = _COLOUR_BANDS[image.interpretation], _DEPTHS[image.format]
    colours = plan(profile, bands)
    notes = list(colours.notes)
    if image.get("vips-loader").startswith("gif") and image.get_n_pages() > 1:
        notes.append("The file is an animation; only its first picture was read.")
    colour = image.extract_band(0, n=bands) if image.bands > bands else image
    if colours.route == "engine":
        colour = _through_engine(colour, profile, depth)
        bands = 3
    if image.bands == _COLOUR_BANDS[image.interpretation]:
        return Decoded(_array(colour), None, depth, colours, tuple(notes))
    first_extra = _COLOUR_BANDS[image.interpretation]
    if (extra := image.bands - first_extra) > 1:
        notes.append(f"Of {extra} extra channels only the first one, taken as alpha, was kept.")
    joined = _array(colour.bandjoin(image.extract_band(first_extra)))
    inside = joined[..., 0] if bands == 1 else joined[..., :bands]
    return Decoded(
        np.ascontiguousarray(inside),
        np.ascontiguousarray(joined[..., bands]),
        depth,
        colours,
        tuple(notes),
    )


def _as_rgb(image: Any) -> Any:
    """libvips' picture in a form that we read. Raises BadImage for any other."""
    if image.interpretation == "labs":
        # CIE Lab has one way to RGB; libvips gives 16 bits whatever the file had.
        image = image.colourspace("rgb16")
    bands = _COLOUR_BANDS.get(image.interpretation)
    if bands is None or image.format not in _DEPTHS or image.bands < bands:
        raise BadImage(
            "Expected 1 to 16 bits per channel in grey, RGB or CMYK, but the picture is "
            f"{image.format} {image.interpretation} with {image.bands} channels. "
            "Save it as a 16-bit RGB TIFF first."
        )
    return image


def _array(image: Any) -> Pixels:
    """Decode now: (H, W) for one band, else (H, W, bands), without a second copy."""
    shape = (image.height, image.width, image.bands)[: 2 if image.bands == 1 else 3]
    dtype = np.uint8 if image.format == "uchar" else np.uint16
    return np.frombuffer(image.write_to_memory(), dtype).reshape(shape)


def _through_engine(image: Any, profile: bytes | None, depth: BitDepth) -> Any:
    """To sRGB by libvips' colour engine; CMYK without a profile gets libvips' own."""
    import pyvips

    image = image.copy()
    if profile is not None:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return image.icc_transform(
        "srgb", embedded=True, depth=depth, intent="relative", black_point_compensation=True
    )


def _decode_bmp(file: BinaryIO, max_pixels: int) -> Decoded:
    from PIL import Image

    file.seek(14)
    head = file.read(12).ljust(12, b"\0")
    # The oldest header, of 12 bytes, has short sides; a negative height means top to bottom.
    sides = struct.unpack_from("<HH" if head[0] == 12 else "<ii", head, 4)
    _require_size(abs(sides[0]), abs(sides[1]), max_pixels)
    file.seek(0)
    try:
        with Image.open(file, formats=("BMP",)) as image:
            has_alpha = image.mode == "RGBA"
            # np.array and not asarray: pixels may be coloured in place
            values = np.array(image.convert("RGBA" if has_alpha else "RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadImage(f"{_DAMAGED} ({error}). Copy the file again.") from error
    alpha = np.ascontiguousarray(values[..., 3]) if has_alpha else None
    return Decoded(np.ascontiguousarray(values[..., :3]), alpha, 8, Plan("none"))


def _require_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise BadImage(
            f"Expected at most {max_pixels / 1e6:g} megapixels, but the picture is {width} x "
            f"{height}, {width * height / 1e6:.0f} megapixels. Scale it down, or raise the limit."
        )


def _reason(error: Exception) -> str:
    """libvips' own words, without the line that repeats which operation was called."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if not line.startswith("unable to ")), "unreadable header")
