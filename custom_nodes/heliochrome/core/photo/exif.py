"""EXIF blocks: made upright in place, or moved between a block and a TIFF's own tag tables."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Final

from . import tags
from .ifd import (
    RATIONAL,
    SHORT,
    Entry,
    Ifd,
    Layout,
    MalformedIfd,
    Value,
    entries,
    next_offsets,
    read_ifd,
    read_layout,
    serialise,
    swapped,
    unsigned,
)
from .orientation import is_turned

_HEADER: Final = {"<": b"II*\0\x08\0\0\0", ">": b"MM\0*\0\0\0\x08"}
_CENTIMETRES: Final = 3
_PER_INCH: Final = {2: 1.0, _CENTIMETRES: 2.54}


@dataclass(frozen=True)
class UprightExif:
    """A block whose Orientation is 1, and what it was."""

    block: bytes
    orientation: int


def make_upright(block: bytes) -> UprightExif:
    """Set Orientation to 1, let width and height change places, and drop the thumbnail.

    Everything else keeps its place and bytes: maker notes refer to positions in the block.
    The thumbnail goes as it would go on showing the grey picture. Raises MalformedIfd.
    """
    patched = io.BytesIO(block)
    layout = read_layout(patched)
    if layout.big:
        raise MalformedIfd("an EXIF block cannot be a BigTIFF")
    found, link = entries(patched, layout, layout.first)
    by_tag = {entry.tag: entry for entry in found}
    orientation = 1
    if (entry := by_tag.get(tags.ORIENTATION)) and entry.kind == SHORT and entry.count == 1:
        stored = _short_at(block, layout, entry.position)
        orientation = stored if 1 <= stored <= 8 else 1
        _write(patched, entry.position, struct.pack(layout.order + "H", 1))
    if is_turned(orientation):
        _exchange(patched, by_tag.get(tags.X_RESOLUTION), by_tag.get(tags.Y_RESOLUTION))
        if exif := by_tag.get(tags.EXIF_IFD):
            _exchange_dimensions(patched, layout, exif.position)
    _drop_thumbnail(patched, layout, link)
    return UprightExif(patched.getvalue(), orientation)


def parse(block: bytes, order: str) -> Ifd:
    """The block's descriptive tags in byte order `order`. Raises MalformedIfd."""
    file = io.BytesIO(block)
    layout = read_layout(file)
    table = read_ifd(file, layout, layout.first, tags.STRUCTURE)
    return table if layout.order == order else _with_comment_swapped(swapped(table))


def build(table: Ifd, order: str) -> bytes | None:
    """An EXIF block of `table`; None if the table is empty."""
    if not table:
        return None
    return _HEADER[order] + serialise(table, 8, Layout(order, False, 8))


def dpi_of(block: bytes) -> tuple[float, float] | None:
    """The resolution tags of a block, in pixels per inch. Raises MalformedIfd."""
    file = io.BytesIO(block)
    layout = read_layout(file)
    return resolution(parse(block, layout.order), layout.order)


def resolution(table: Ifd, order: str) -> tuple[float, float] | None:
    """XResolution and YResolution in pixels per inch; None if absent or without a unit."""
    unit = table.get(tags.RESOLUTION_UNIT, Value(SHORT, struct.pack(order + "H", 2)))
    numbers = unsigned(order, unit) if isinstance(unit, Value) else ()
    factor = _PER_INCH.get(numbers[0]) if numbers else None
    x, y = (_rational(table.get(tag), order) for tag in (tags.X_RESOLUTION, tags.Y_RESOLUTION))
    if factor is None or x is None or y is None:
        return None
    return x * factor, y * factor


def resolution_tags(dpi: tuple[float, float], order: str) -> Ifd:
    """The three tags that say `dpi`."""
    x, y = (struct.pack(order + "II", round(value * 10000), 10000) for value in dpi)
    return {
        tags.X_RESOLUTION: Value(RATIONAL, x),
        tags.Y_RESOLUTION: Value(RATIONAL, y),
        tags.RESOLUTION_UNIT: Value(SHORT, struct.pack(order + "H", 2)),
    }


def _exchange_dimensions(file: io.BytesIO, layout: Layout, pointer: int) -> None:
    try:
        (offset,) = struct.unpack_from(layout.order + "I", file.getvalue(), pointer)
        found, _ = entries(file, layout, offset)
    except (MalformedIfd, struct.error):
        return  # the table is beyond repair and no reader will see its dimensions either
    by_tag = {entry.tag: entry for entry in found}
    _exchange(file, by_tag.get(tags.PIXEL_X_DIMENSION), by_tag.get(tags.PIXEL_Y_DIMENSION))


def _exchange(file: io.BytesIO, one: Entry | None, other: Entry | None) -> None:
    """Let two values of the same type change places; others are left as they are."""
    if one is None or other is None or (one.kind, one.count) != (other.kind, other.count):
        return
    data = file.getvalue()
    if max(one.position, other.position) + one.size > len(data) or one.size > 8:
        return
    _write(file, one.position, data[other.position : other.position + one.size])
    _write(file, other.position, data[one.position : one.position + one.size])


def _drop_thumbnail(file: io.BytesIO, layout: Layout, link: int) -> None:
    """Unlink every further table and blank the picture the next one holds."""
    for offset in _following(file, layout):
        found, _ = entries(file, layout, offset)
        at = {entry.tag: entry for entry in found}
        for start_tag, length_tag in (
            (tags.THUMBNAIL_OFFSET, tags.THUMBNAIL_LENGTH),
            (tags.STRIP_OFFSETS, tags.STRIP_BYTE_COUNTS),
        ):
            if start_tag in at and length_tag in at:
                _blank(file, layout, at[start_tag].position, at[length_tag].position)
    if link + 4 <= len(file.getvalue()):
        _write(file, link, b"\0" * 4)


def _following(file: io.BytesIO, layout: Layout) -> list[int]:
    found: list[int] = []
    try:
        for offset in next_offsets(file, layout):
            entries(file, layout, offset)
            found.append(offset)
    except MalformedIfd:
        pass  # a damaged chain ends where the damage is
    return found[1:]


def _blank(file: io.BytesIO, layout: Layout, start_at: int, length_at: int) -> None:
    data = file.getvalue()
    if max(start_at, length_at) + 4 > len(data):
        return
    (start,) = struct.unpack_from(layout.order + "I", data, start_at)
    (length,) = struct.unpack_from(layout.order + "I", data, length_at)
    if start + length == len(data):
        file.truncate(start)
    elif start + length < len(data):
        _write(file, start, b"\0" * length)


def _with_comment_swapped(table: Ifd) -> Ifd:
    """UserComment in Unicode is UTF-16 in the byte order of the block, though typed as bytes."""
    below = table.get(tags.EXIF_IFD)
    comment = below.get(tags.USER_COMMENT) if isinstance(below, dict) else None
    if isinstance(below, dict) and isinstance(comment, Value):
        text = bytearray(comment.data[8 : len(comment.data) // 2 * 2])
        if comment.data.startswith(b"UNICODE\0"):
            text[0::2], text[1::2] = text[1::2], text[0::2]
            below[tags.USER_COMMENT] = Value(comment.kind, comment.data[:8] + bytes(text))
    return table


def _rational(value: Value | Ifd | None, order: str) -> float | None:
    if not isinstance(value, Value) or value.kind != RATIONAL or len(value.data) < 8:
        return None
    above, below = struct.unpack_from(order + "II", value.data)
    return above / below if above and below else None


def _short_at(block: bytes, layout: Layout, position: int) -> int:
    return int(struct.unpack_from(layout.order + "H", block, position)[0])


def _write(file: io.BytesIO, position: int, data: bytes) -> None:
    file.seek(position)
    file.write(data)
