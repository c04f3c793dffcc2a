"""Image file directories: the tag tables that TIFF files and EXIF blocks share (TIFF 6.0).

Values are kept as the bytes they are stored as, so that unknown tags and maker notes survive.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Union

from .tags import POINTERS

# Bytes per value, and the unit to swap when the byte order changes (a rational is two longs).
_SIZE: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4,
                16: 8, 17: 8, 18: 8}  # fmt: skip
_SWAP: Final = {5: 4, 10: 4}
_BIG_TYPES: Final = {16: 4, 17: 9, 18: 4}  # BigTIFF integers and what a classic TIFF has instead
_LARGEST_VALUE: Final = 256 << 20  # a longer value is damage, not metadata
_DEEPEST: Final = 4
_FARTHEST: Final = 1 << 62  # no system can seek farther
ASCII: Final = 2
BYTE: Final = 1
SHORT: Final = 3
LONG: Final = 4
RATIONAL: Final = 5
UNDEFINED: Final = 7


class MalformedIfd(ValueError):
    """The bytes are not a readable tag table."""


@dataclass(frozen=True)
class Value:
    """One tag's value: its TIFF type and its bytes in the byte order of the table."""

    kind: int
    data: bytes


Ifd = dict[int, Union[Value, "Ifd"]]  # a pointer tag holds the table it points to


@dataclass(frozen=True)
class Entry:
    """Where a tag's value is stored."""

    tag: int
    kind: int
    count: int
    position: int

    @property
    def size(self) -> int:
        return self.count * _SIZE.get(self.kind, 0)


@dataclass(frozen=True)
class Layout:
    """How a TIFF-structured file is laid out: byte order ("<" or ">") and classic or BigTIFF."""

    order: str
    big: bool
    first: int  # offset of the first table

    @property
    def word(self) -> str:
        return "Q" if self.big else "I"

    @property
    def entry(self) -> struct.Struct:
        return struct.Struct(f"{self.order}HH{self.word}")


def read_layout(file: BinaryIO) -> Layout:
    """The header at the start of `file`. Raises MalformedIfd."""
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        raise MalformedIfd("no TIFF header")
    version, first = struct.unpack(f"{order}HI", head[2:8])
    if version == 42:
        return Layout(order, False, first)
    if version == 43 and len(head) == 16:
        return Layout(order, True, struct.unpack(f"{order}Q", head[8:])[0])
    raise MalformedIfd(f"TIFF version {version}")


def entries(file: BinaryIO, layout: Layout, offset: int) -> tuple[list[Entry], int]:
    """The entries of the table at `offset`, and where the offset of the next one is stored."""
    count_format = f"{layout.order}{'Q' if layout.big else 'H'}"
    count_size, width = struct.calcsize(count_format), layout.entry.size
    slot = struct.calcsize(layout.word)
    _seek(file, offset)
    (count,) = struct.unpack(count_format, _exactly(file, count_size))
    if count > 0xFFFF:
        raise MalformedIfd(f"{count} tags")
    table = _exactly(file, count * (width + slot))
    found = []
    for index in range(count):
        start = index * (width + slot)
        tag, kind, values = layout.entry.unpack_from(table, start)
        position = offset + count_size + start + width
        if values * _SIZE.get(kind, 0) > slot:
            (position,) = struct.unpack_from(layout.order + layout.word, table, start + width)
        found.append(Entry(tag, kind, values, position))
    return found, offset + count_size + len(table)


def read_ifd(
    file: BinaryIO, layout: Layout, offset: int, skip: frozenset[int] = frozenset(), depth: int = 0
) -> Ifd:
    """The table at `offset` with the EXIF, GPS and interoperability tables below it.

    Tags in `skip`, of unknown type, or stored outside the file are left out. Raises MalformedIfd.
    """
    table: Ifd = {}
    found, _ = entries(file, layout, offset)
    for entry in found:
        if entry.tag in skip or not 0 < entry.size <= _LARGEST_VALUE:
            continue
        _seek(file, entry.position)
        data = file.read(entry.size)
        if len(data) < entry.size:
            continue
        if entry.tag in POINTERS:
            target = unsigned(layout.order, Value(entry.kind, data))
            if target and depth < _DEEPEST:
                try:
                    table[entry.tag] = read_ifd(file, layout, target[0], skip, depth + 1)
                except MalformedIfd:
                    continue
        elif (value := _classic(layout.order, Value(entry.kind, data))) is not None:
            table[entry.tag] = value
    return table


def next_offsets(file: BinaryIO, layout: Layout) -> Iterator[int]:
    """The offsets of all tables in the chain, the first one included; stops at a loop."""
    offset, seen = layout.first, set[int]()
    while offset and offset not in seen:
        seen.add(offset)
        yield offset
        _, link = entries(file, layout, offset)
        file.seek(link)
        (offset,) = struct.unpack(
            layout.order + layout.word, _exactly(file, struct.calcsize(layout.word))
        )


def serialise(table: Ifd, start: int, layout: Layout) -> bytes:
    """The bytes of `table` and all below it, to be stored at offset `start` (even).

    Values must be in the layout's byte order. The link to a next table is 0.
    """
    count_format = f"{layout.order}{'Q' if layout.big else 'H'}"
    slot = struct.calcsize(layout.word)
    position = struct.calcsize(count_format) + len(table) * (layout.entry.size + slot) + slot
    head, body = bytearray(struct.pack(count_format, len(table))), bytearray()
    for tag in sorted(table):
        value = table[tag]
        at = start + position + len(body)
        if isinstance(value, dict):
            kind, count, data = LONG, 1, struct.pack(layout.order + "I", at)
            body += serialise(value, at, layout)
        else:
            kind, data = value.kind, value.data
            count = len(data) // _SIZE[kind]
            if len(data) > slot:
                body += data + b"\0" * (len(data) % 2)
                data = struct.pack(layout.order + layout.word, at)
        head += layout.entry.pack(tag, kind, count) + data.ljust(slot, b"\0")
    return bytes(head + b"\0" * slot + body)


def swapped(table: Ifd) -> Ifd:
    """The same table in the other byte order."""
    result: Ifd = {}
    for tag, value in table.items():
        if isinstance(value, dict):
            result[tag] = swapped(value)
            continue
        unit = _SWAP.get(value.kind, _SIZE[value.kind])
        data = bytearray(value.data)
        for index in range(unit):
            data[index::unit] = value.data[unit - 1 - index :: unit]
        result[tag] = Value(value.kind, bytes(data))
    return result


def unsigned(order: str, value: Value) -> tuple[int, ...]:
    """The numbers of a BYTE, SHORT, LONG, IFD or BigTIFF value; empty for any other type."""
    code = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}.get(value.kind)
    if code is None:
        return ()
    return struct.unpack(f"{order}{len(value.data) // struct.calcsize(code)}{code}", value.data)


def _classic(order: str, value: Value) -> Value | None:
    """`value` without BigTIFF's types; None where it does not fit."""
    if value.kind not in _BIG_TYPES:
        return value
    numbers = unsigned(order, value)
    if not numbers or max(numbers) > 0xFFFFFFFF:
        return None
    return Value(LONG, struct.pack(f"{order}{len(numbers)}I", *numbers))


def _seek(file: BinaryIO, offset: int) -> None:
    if offset > _FARTHEST:
        raise MalformedIfd(f"it points to byte {offset}")
    file.seek(offset)


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise MalformedIfd("cut short")
    return data
