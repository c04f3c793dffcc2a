"""WebP chunks: reading what surrounds the pixels, and putting it around new ones (RFC 9649)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

from .model import Embedded, Metadata

_PIXELS: Final = (b"ALPH", b"VP8 ", b"VP8L")
_ICC, _ALPHA, _EXIF, _XMP = 0x20, 0x10, 0x08, 0x04  # flags of the VP8X chunk
_LARGEST: Final = 64 << 20


def read(file: BinaryIO) -> Embedded:
    """Everything but the pixels. A damaged tail is the decoder's to report."""
    found = dict(_chunks(file, skip=_PIXELS))
    exif = found.get(b"EXIF")
    metadata = Metadata(
        exif=exif.removeprefix(b"Exif\0\0") if exif else None,
        xmp=found.get(b"XMP ") or None,
        icc=found.get(b"ICCP") or None,
    )
    notes: tuple[str, ...] = ()
    if b"ANIM" in found:
        notes = ("The file is an animation; only its first picture was read.",)
    return Embedded(metadata, lossless=b"VP8L" in found, notes=notes)


def wrap(encoded: BinaryIO, out: BinaryIO, metadata: Metadata, *, size: tuple[int, int]) -> None:
    """Copy the WebP `encoded`, of `size` (width, height), to `out` with `metadata` around it."""
    pixels = [(kind, data) for kind, data in _chunks(encoded) if kind in _PIXELS]
    has_alpha = any(
        kind == b"ALPH" or (kind == b"VP8L" and data[4] & 0x10) for kind, data in pixels
    )
    flags = (
        (_ICC if metadata.icc else 0)
        | (_ALPHA if has_alpha else 0)
        | (_EXIF if metadata.exif else 0)
        | (_XMP if metadata.xmp else 0)
    )
    width, height = (struct.pack("<I", side - 1)[:3] for side in size)
    body = _packed(b"VP8X", struct.pack("<I", flags) + width + height)
    if metadata.icc:
        body += _packed(b"ICCP", metadata.icc)
    for kind, data in pixels:
        body += _packed(kind, data)
    if metadata.exif:
        body += _packed(b"EXIF", metadata.exif)
    if metadata.xmp:
        body += _packed(b"XMP ", metadata.xmp)
    out.write(_packed(b"RIFF", b"WEBP" + body))


def _chunks(file: BinaryIO, skip: tuple[bytes, ...] = ()) -> Iterator[tuple[bytes, bytes]]:
    """Chunks in order; the data of kinds in `skip` is passed over and given as empty."""
    file.seek(12)
    while len(head := file.read(8)) == 8:
        kind, size = struct.unpack("<4sI", head)
        if kind in skip or (size > _LARGEST and kind not in _PIXELS):
            file.seek(size + size % 2, 1)
            yield kind, b""
            continue
        data = file.read(size)
        if len(data) < size:
            return
        file.seek(size % 2, 1)
        yield kind, data


def _packed(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
