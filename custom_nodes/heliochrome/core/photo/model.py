"""What a photograph is to us: pixels ready to work on, and everything the file said about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8 | np.uint16]
PhotoFormat = Literal["jpeg", "png", "tiff", "webp"]
BitDepth = Literal[8, 16]

SUFFIXES: Final[dict[PhotoFormat, tuple[str, ...]]] = {
    "jpeg": (".jpg", ".jpeg"),
    "png": (".png",),
    "tiff": (".tif", ".tiff"),
    "webp": (".webp",),
}


@dataclass(frozen=True)
class Metadata:
    """What is carried from the input to the output, as bytes and not reinterpreted.

    exif: a TIFF-structured block ("II*\\0" or "MM\\0*" first), Orientation already 1, no
    thumbnail; for a TIFF input also its descriptive tags. xmp: a packet that parses.
    icc: the profile the output embeds; None embeds none. iptc: IIM records.
    image_resources: Photoshop 8BIM blocks without IPTC and thumbnails.
    dpi: horizontal and vertical pixels per inch. private: blocks that only the input's own
    format can hold (JPEG segments, PNG chunks), ready to be written back.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    icc: bytes | None = None
    iptc: bytes | None = None
    image_resources: bytes | None = None
    dpi: tuple[float, float] | None = None
    private: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Embedded:
    """What a container's reader found in a file: the metadata, and facts about the pixels.

    orientation: EXIF value 1 to 8. lossless: how a WebP was coded.
    """

    metadata: Metadata = field(default_factory=Metadata)
    orientation: int = 1
    lossless: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Photo:
    """A photograph that has been read. Compared by identity, as it holds arrays.

    pixels: (H, W, 3) uint8 or uint16, sRGB-encoded RGB over the whole range of the type,
    upright (the EXIF orientation has been applied), C-contiguous, writable.
    alpha: (H, W) of the same type, 0 is transparent; None where the file has none.
    format: what the output is written as by default. bit_depth: bits per channel of the
    input and so of the output; `pixels` may be wider where a profile was converted.
    lossless: a WebP input was lossless and stays so. returns_to_profile: `pixels` were
    converted from `metadata.icc` and are converted back on writing.
    stored: (H, W, 3) where asked for and `returns_to_profile`: the file's own values, of which
    `pixels` cannot hold those that no sRGB has. source: where it was read from; never overwritten.
    notes: sentences for the user about what could not be kept or was decided for them.
    """

    pixels: Pixels
    format: PhotoFormat
    bit_depth: BitDepth
    alpha: Pixels | None = None
    metadata: Metadata = field(default_factory=Metadata)
    lossless: bool = False
    returns_to_profile: bool = False
    stored: Pixels | None = None
    source: Path | None = None
    notes: tuple[str, ...] = ()


def default_suffix(photo: Photo) -> str:
    """The file name ending (".jpg", ".png", ".tif", ".webp") that holds all of `photo`.

    BMP and GIF are read but not written: they become PNG.
    """
    return SUFFIXES[photo.format][0]


def format_of_suffix(path: Path) -> PhotoFormat | None:
    """The format `path` asks for by its ending, upper or lower case; None if not one of ours."""
    suffix = path.suffix.lower()
    return next((name for name, endings in SUFFIXES.items() if suffix in endings), None)
