"""PNG chunks: reading what surrounds the pixels, and putting it around new ones (PNG, 3rd ed.)."""

from __future__ import annotations

import binascii
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from . import image_resources
from .model import Embedded, Metadata

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_LARGEST: Final = 64 << 20  # of one metadata chunk, packed or unpacked
XMP_KEYWORD: Final = "XML:com.adobe.xmp"  # XMP Specification Part 3, 1.1.5
_XMP: Final = XMP_KEYWORD.encode()
_RAW: Final = b"Raw profile type "  # ImageMagick's and ExifTool's way to hold foreign blocks
_METRES_PER_INCH: Final = 0.0254
# These say how the values are meant. They stay unless the profile takes their place.
_COLOUR: Final = {b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI"}
_KEPT: Final = {b"tEXt", b"zTXt", b"iTXt", b"sCAL", b"oFFs", *_COLOUR}
_READ_ELSEWHERE: Final = {b"iCCP", b"eXIf", b"pHYs"}


@dataclass(frozen=True)
class _Chunk:
    kind: bytes
    data: bytes

    @property
    def packed(self) -> bytes:
        check = zlib.crc32(self.kind + self.data)
        return struct.pack(">I", len(self.data)) + self.kind + self.data + struct.pack(">I", check)


def read(file: BinaryIO) -> Embedded:
    """Everything but the pixels. A damaged tail is the decoder's to report."""
    exif = xmp = icc = iptc = resources = dpi = None
    private: list[_Chunk] = []
    notes: list[str] = []
    for chunk in _chunks(file):
        kind, data = chunk.kind, chunk.data
        if kind == b"eXIf":
            exif = data
        elif kind == b"iCCP":
            icc = _inflated(data[data.find(b"\0") + 2 :]) or None
        elif kind == b"pHYs" and len(data) == 9:
            dpi = _density(data)
        elif kind == b"iTXt" and data.startswith(_XMP + b"\0"):
            xmp = _international_text(data)
        elif kind in (b"tEXt", b"zTXt") and data.startswith(_RAW):
            name, block = _raw_profile(chunk)
            if block is None:
                private.append(chunk)
            elif name in (b"exif", b"APP1") and exif is None:
                exif = block.removeprefix(b"Exif\0\0")
            elif name in (b"iptc", b"8bim") and block.startswith(b"\x1c"):
                iptc = block
            elif name in (b"iptc", b"8bim"):
                found = image_resources.split(block)
                iptc, resources = found.iptc or iptc, found.others or resources
            elif name == b"xmp" and xmp is None:
                xmp = block
            elif name in (b"icc", b"icm"):
                icc = icc or block
            else:
                private.append(chunk)
        elif kind == b"acTL":
            notes.append("The file is an animation; only its first picture was read.")
        elif kind == b"caBX":
            notes.append("The content credentials (JUMBF) were left out: an edit voids them.")
        elif kind not in _READ_ELSEWHERE and (kind in _KEPT or _is_safe_to_copy(kind)):
            private.append(chunk)
    metadata = Metadata(
        exif=exif,
        xmp=xmp,
        icc=icc,
        iptc=iptc,
        image_resources=resources,
        dpi=dpi,
        private=tuple(chunk.packed for chunk in private),
    )
    return Embedded(metadata, notes=tuple(notes))


def without_colour_chunks(private: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """`private` less what described values that have since been converted."""
    return tuple(block for block in private if block[4:8] not in _COLOUR)


def wrap(encoded: BinaryIO, out: BinaryIO, metadata: Metadata) -> None:
    """Copy the PNG `encoded` to `out` with `metadata` in place of its own ancillary chunks."""
    encoded.seek(len(_SIGNATURE))
    header = next(_chunks(encoded))
    out.write(_SIGNATURE + header.packed)
    for chunk in _metadata_chunks(metadata):
        out.write(chunk.packed)
    for block in metadata.private:
        out.write(block)
    encoded.seek(len(_SIGNATURE))
    while len(head := encoded.read(8)) == 8:
        size, kind = struct.unpack(">I4s", head)
        if kind[0] & 0x20 or kind == b"IHDR":
            encoded.seek(size + 4, 1)
            continue
        out.write(head)
        out.write(encoded.read(size + 4))


def _metadata_chunks(metadata: Metadata) -> Iterator[_Chunk]:
    if metadata.icc:
        yield _Chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc))
    if metadata.dpi:
        x, y = (round(value / _METRES_PER_INCH) for value in metadata.dpi)
        yield _Chunk(b"pHYs", struct.pack(">IIB", x, y, 1))
    if metadata.exif:
        yield _Chunk(b"eXIf", metadata.exif)
    if metadata.xmp:
        yield _Chunk(b"iTXt", _XMP + b"\0\0\0\0\0" + metadata.xmp)
    if resources := image_resources.join(metadata.iptc, metadata.image_resources):
        text = b"\niptc\n%8d\n" % len(resources) + binascii.hexlify(resources) + b"\n"
        yield _Chunk(b"zTXt", _RAW + b"iptc\0\0" + zlib.compress(text))


def _chunks(file: BinaryIO) -> Iterator[_Chunk]:
    """Chunks other than image data, the over-long left out; stops where the file is damaged."""
    file.seek(len(_SIGNATURE))
    while len(head := file.read(8)) == 8:
        size, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            return
        if kind in (b"IDAT", b"fdAT") or size > _LARGEST:
            file.seek(size + 4, 1)
            continue
        data = file.read(size)
        if len(data) < size or len(file.read(4)) < 4:
            return
        yield _Chunk(kind, data)


def _is_safe_to_copy(kind: bytes) -> bool:
    """Ancillary, and marked by its maker as independent of the pixels (PNG 5.4, bits 5)."""
    return bool(kind[0] & 0x20 and kind[3] & 0x20)


def _inflated(data: bytes) -> bytes | None:
    """Unpacked zlib data; None if damaged or larger than metadata ever is."""
    inflater = zlib.decompressobj()
    try:
        result = inflater.decompress(data, _LARGEST)
    except zlib.error:
        return None
    return result if inflater.eof else None


def _international_text(data: bytes) -> bytes | None:
    rest = data.partition(b"\0")[2]
    if len(rest) < 2:
        return None
    text = rest[2:].split(b"\0", 2)[-1]
    return _inflated(text) if rest[0] else text


def _raw_profile(chunk: _Chunk) -> tuple[bytes, bytes | None]:
    """A block written as "\\nname\\nlength\\nhexadecimal": its name, and its bytes if intact."""
    keyword, _, rest = chunk.data.partition(b"\0")
    text = rest if chunk.kind == b"tEXt" else _inflated(rest[1:])
    parts = (text or b"").split(b"\n", 3)
    try:
        block = binascii.unhexlify(b"".join(parts[3].split())) if len(parts) == 4 else None
    except binascii.Error:
        block = None
    return keyword.removeprefix(_RAW), block


def _density(data: bytes) -> tuple[float, float] | None:
    x, y, unit = struct.unpack(">IIB", data)
    return (x * _METRES_PER_INCH, y * _METRES_PER_INCH) if unit == 1 and x and y else None
