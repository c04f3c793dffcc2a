"""What a TIFF says besides its pixels, and putting that into a freshly encoded TIFF.

libvips decodes and encodes the pixels but keeps only a few tags. Its file is completed here:
a new tag table with everything is appended and the header is pointed at it.
"""

from __future__ import annotations

import struct
from typing import BinaryIO, Final

from ..errors import BadImage
from . import exif, image_resources, tags
from .ifd import (
    BYTE,
    LONG,
    SHORT,
    UNDEFINED,
    Ifd,
    Layout,
    Value,
    entries,
    next_offsets,
    read_ifd,
    read_layout,
    serialise,
    unsigned,
)
from .model import Embedded, Metadata
from .orientation import is_turned

_REDUCED: Final = 1  # NewSubfileType: a smaller version of another image in the file
_LAB: Final = 8  # of the photometric interpretation
_LAYERS_NOTE: Final = "The Photoshop layers were left out: they hold the picture as it was."
# Tags that only pictures in the file need, and that are large: they are not read.
_NOT_READ: Final = tags.STRUCTURE - {
    tags.XMP, tags.IPTC, tags.IMAGE_RESOURCES, tags.ICC, tags.NEW_SUBFILE_TYPE, tags.SUB_IFDS,
    tags.EXTRA_SAMPLES, tags.BITS, tags.PHOTOMETRIC, tags.SAMPLES, tags.PLANAR,
}  # fmt: skip


def read(file: BinaryIO) -> Embedded:
    """Metadata of the first page. Raises BadImage for a camera raw, MalformedIfd for damage."""
    layout = read_layout(file)
    table = read_ifd(file, layout, layout.first, _NOT_READ)
    _refuse_raw(table, layout)
    _refuse_misread(table, layout)
    orientation = (_numbers(table, tags.ORIENTATION, layout) or (1,))[0]
    orientation = orientation if 1 <= orientation <= 8 else 1
    if is_turned(orientation) and {tags.X_RESOLUTION, tags.Y_RESOLUTION} <= table.keys():
        x, y = table[tags.X_RESOLUTION], table[tags.Y_RESOLUTION]
        table[tags.X_RESOLUTION], table[tags.Y_RESOLUTION] = y, x
    if tags.ORIENTATION in table:
        table[tags.ORIENTATION] = Value(SHORT, struct.pack(layout.order + "H", 1))
    resources = image_resources.split(_raw(table, tags.IMAGE_RESOURCES) or b"")
    descriptive: Ifd = {tag: v for tag, v in table.items() if tag not in tags.STRUCTURE}
    metadata = Metadata(
        exif=exif.build(descriptive, layout.order),
        xmp=_raw(table, tags.XMP),
        icc=_raw(table, tags.ICC),
        iptc=_iptc(table, layout) or resources.iptc,
        image_resources=resources.others,
        dpi=exif.resolution(table, layout.order),
    )
    return Embedded(metadata, orientation, notes=_notes(file, layout, table))


def complete(file: BinaryIO, metadata: Metadata) -> None:
    """Add `metadata` to the TIFF that libvips wrote into `file` (open for reading and writing)."""
    layout = read_layout(file)
    table = read_ifd(file, layout, layout.first)
    table.update(exif.parse(metadata.exif, layout.order) if metadata.exif else {})
    if metadata.dpi and exif.resolution(table, layout.order) != metadata.dpi:
        table.update(exif.resolution_tags(metadata.dpi, layout.order))
    table[tags.ORIENTATION] = Value(SHORT, struct.pack(layout.order + "H", 1))
    resources = image_resources.join(metadata.iptc, metadata.image_resources)
    for tag, kind, data in (
        (tags.XMP, BYTE, metadata.xmp),
        (tags.IPTC, UNDEFINED, metadata.iptc),
        (tags.IMAGE_RESOURCES, BYTE, resources),
        (tags.ICC, UNDEFINED, metadata.icc),
    ):
        if data:
            table[tag] = Value(kind, data)
    end = file.seek(0, 2)
    start = end + end % 2
    file.seek(start)
    file.write(serialise(table, start, layout))
    file.seek(8 if layout.big else 4)
    file.write(struct.pack(layout.order + layout.word, start))


def _refuse_raw(table: Ifd, layout: Layout) -> None:
    """In camera raws the first page is a thumbnail or a mosaic, and never the photograph."""
    subfile = _numbers(table, tags.NEW_SUBFILE_TYPE, layout) or (0,)
    if tags.DNG_VERSION in table or (subfile[0] & _REDUCED and tags.SUB_IFDS in table):
        raise BadImage(
            "Expected a photograph, but this is a camera raw file. "
            "Export it as a 16-bit TIFF and use that."
        )


def _refuse_misread(table: Ifd, layout: Layout) -> None:
    """What libvips 8.18 takes for something else and would scramble or call damaged."""
    photometric, samples, planar, bits = (
        _numbers(table, tag, layout)[:1]
        for tag in (tags.PHOTOMETRIC, tags.SAMPLES, tags.PLANAR, tags.BITS)
    )
    if photometric in ((0,), (1,)) and samples > (1,) and planar == (2,):
        raise BadImage(
            "Expected grey and alpha stored pixel by pixel, but this TIFF stores them as separate "
            "planes, which cannot be read. Save it with interleaved channels."
        )
    if photometric == (_LAB,) and bits == (8,):
        raise BadImage(
            "Expected grey, RGB or CMYK, but this TIFF is 8-bit CIE Lab. Save it as RGB first."
        )


def _notes(file: BinaryIO, layout: Layout, table: Ifd) -> tuple[str, ...]:
    notes = []
    pages = 0
    for offset in next_offsets(file, layout):
        page = read_ifd(file, layout, offset, _NOT_READ | tags.POINTERS)
        kind = _numbers(page, tags.NEW_SUBFILE_TYPE, layout) or (0,)
        pages += not kind[0] & _REDUCED
    if pages > 1:
        notes.append(f"The file has {pages} pages; only the first one was read.")
    if tags.PHOTOSHOP_LAYERS in _tags_of_first(file, layout):
        notes.append(_LAYERS_NOTE)
    if (_numbers(table, tags.EXTRA_SAMPLES, layout) or (2,))[0] == 1:
        notes.append("The colours are premultiplied with the alpha channel and were kept so.")
    return tuple(notes)


def _tags_of_first(file: BinaryIO, layout: Layout) -> set[int]:
    return {entry.tag for entry in entries(file, layout, layout.first)[0]}


def _iptc(table: Ifd, layout: Layout) -> bytes | None:
    """IPTC is often typed LONG; writers that do so in the wrong byte order start with 0x1c last."""
    value = table.get(tags.IPTC)
    if not isinstance(value, Value):
        return None
    data = value.data
    if value.kind == LONG and data[:1] != b"\x1c" and data[3:4] == b"\x1c":
        count = len(data) // 4
        data = struct.pack(f"<{count}I", *struct.unpack(f">{count}I", data[: count * 4]))
    return data


def _raw(table: Ifd, tag: int) -> bytes | None:
    value = table.get(tag)
    return value.data if isinstance(value, Value) and value.data else None


def _numbers(table: Ifd, tag: int, layout: Layout) -> tuple[int, ...]:
    value = table.get(tag)
    return unsigned(layout.order, value) if isinstance(value, Value) else ()
