"""JPEG marker segments: reading what surrounds the pixels, and putting it around new ones."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from . import extended_xmp, image_resources
from .model import Embedded, Metadata

_SOI: Final = b"\xff\xd8"
_SOS: Final = 0xDA
_STANDALONE: Final = {0x01, *range(0xD0, 0xD8)}
_APP0, _APP1, _APP2, _APP11, _APP13, _APP14, _COM = 0xE0, 0xE1, 0xE2, 0xEB, 0xED, 0xEE, 0xFE
_EXIF: Final = b"Exif\0\0"
_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
_EXTENDED_XMP: Final = b"http://ns.adobe.com/xmp/extension/\0"
_ICC: Final = b"ICC_PROFILE\0"
_RESOURCES: Final = b"Photoshop 3.0\0"
_MULTI_PICTURE: Final = b"MPF\0"
_LARGEST: Final = 0xFFFF - 2  # payload of one segment
_EXTENDED_HEAD: Final = len(_EXTENDED_XMP) + 40

LARGEST_EXIF: Final = _LARGEST - len(_EXIF)
LARGEST_XMP: Final = _LARGEST - len(_XMP)


@dataclass(frozen=True)
class _Segment:
    marker: int
    data: bytes


def read(file: BinaryIO) -> Embedded:
    """Everything before the first scan. A damaged tail is the decoder's to report."""
    found = list(_segments(file))
    notes: list[str] = []
    private: list[bytes] = []
    exif = main_xmp = dpi = None
    icc: dict[int, bytes] = {}
    resources = b""
    extended = extended_xmp.Received()
    for segment in found:
        marker, data = segment.marker, segment.data
        if marker == _APP0 and data.startswith(b"JFIF\0") and len(data) >= 12:
            dpi = _density(data)
        elif marker == _APP1 and data.startswith(_EXIF):
            exif = exif or data[len(_EXIF) :]
        elif marker == _APP1 and data.startswith(_XMP):
            main_xmp = main_xmp or data[len(_XMP) :]
        elif marker == _APP1 and data.startswith(_EXTENDED_XMP):
            extended.add(data[len(_EXTENDED_XMP) :])
        elif marker == _APP2 and data.startswith(_ICC) and len(data) > 14:
            icc[data[12]] = data[14:]
        elif marker == _APP13 and data.startswith(_RESOURCES):
            resources += data[len(_RESOURCES) :]
        elif marker == _APP2 and data.startswith(_MULTI_PICTURE):
            notes.append("The file holds further pictures (MPF); only the first one was read.")
        elif marker == _APP11:
            notes.append("The content credentials (JUMBF) were left out: an edit voids them.")
        elif marker == _COM or (_is_application(marker) and marker not in (_APP0, _APP14)):
            private.append(_packed(marker, data))
    if main_xmp is not None and extended:
        joined = extended.merge_into(main_xmp)
        if joined is None:
            notes.append("The extended XMP is damaged and was left out.")
        main_xmp = joined or main_xmp
    split = image_resources.split(resources)
    metadata = Metadata(
        exif=exif,
        xmp=main_xmp,
        icc=b"".join(icc[number] for number in sorted(icc)) or None,
        iptc=split.iptc,
        image_resources=split.others,
        dpi=dpi,
        private=tuple(private),
    )
    return Embedded(metadata, notes=tuple(dict.fromkeys(notes)))


def wrap(encoded: BinaryIO, out: BinaryIO, metadata: Metadata) -> None:
    """Copy the JPEG `encoded` to `out` with `metadata` in place of any application segments.

    XMP over 64 kB is continued in extended packets (XMP specification part 3, 1.1.3.1); EXIF
    must fit LARGEST_EXIF.
    """
    out.write(_SOI + _packed(_APP0, _jfif(metadata.dpi)))
    if metadata.exif:
        out.write(_packed(_APP1, _EXIF + metadata.exif))
    if metadata.xmp:
        packets = extended_xmp.split(metadata.xmp, LARGEST_XMP)
        out.write(_packed(_APP1, _XMP + packets.main))
        for head, part in packets.parts(_LARGEST - _EXTENDED_HEAD):
            out.write(_packed(_APP1, _EXTENDED_XMP + head + part))
    resources = image_resources.join(metadata.iptc, metadata.image_resources)
    for part in _parts(resources or b"", _LARGEST - len(_RESOURCES)):
        out.write(_packed(_APP13, _RESOURCES + part))
    profile = list(_parts(metadata.icc or b"", _LARGEST - 14))
    for number, part in enumerate(profile, 1):
        out.write(_packed(_APP2, _ICC + bytes((number, len(profile))) + part))
    for block in metadata.private:
        out.write(block)
    for segment in _segments(encoded):
        if not _is_application(segment.marker):
            out.write(_packed(segment.marker, segment.data))
    while chunk := encoded.read(1 << 20):
        out.write(chunk)


def _segments(file: BinaryIO) -> Iterator[_Segment]:
    """Segments before the first scan; leaves `file` at the marker of that scan."""
    file.seek(2)
    while True:
        position = file.tell()
        head = file.read(2)
        while head == b"\xff\xff":  # fill bytes before a marker
            position += 1
            head = b"\xff" + file.read(1)
        if len(head) < 2 or head[0] != 0xFF or head[1] == _SOS:
            file.seek(position)
            return
        if head[1] in _STANDALONE:
            continue
        size = file.read(2)
        if len(size) < 2:
            return
        length = struct.unpack(">H", size)[0] - 2
        data = file.read(max(length, 0))
        if len(data) < length:
            return
        yield _Segment(head[1], data)


def _is_application(marker: int) -> bool:
    return _APP0 <= marker <= _APP0 + 15


def _packed(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def _parts(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def _density(jfif: bytes) -> tuple[float, float] | None:
    unit, x, y = struct.unpack_from(">BHH", jfif, 7)
    factor = {1: 1.0, 2: 2.54}.get(unit)
    return (x * factor, y * factor) if factor and x and y else None


def _jfif(dpi: tuple[float, float] | None) -> bytes:
    """The JFIF segment. Densities are whole numbers, so the unit that is exact is taken."""
    unit, density = 0, (1.0, 1.0)
    if dpi:
        metric = (dpi[0] / 2.54, dpi[1] / 2.54)
        inch_error = max(abs(value - round(value)) for value in dpi)
        metric_error = max(abs(value - round(value)) for value in metric)
        unit, density = (2, metric) if metric_error < inch_error else (1, dpi)
    whole = [min(max(round(value), 1), 0xFFFF) for value in density]
    return b"JFIF\0\x01\x01" + struct.pack(">BHHBB", unit, *whole, 0, 0)
