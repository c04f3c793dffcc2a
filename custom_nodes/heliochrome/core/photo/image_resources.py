"""Photoshop image resources (8BIM blocks), where a JPEG keeps its IPTC record."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

_SIGNATURE: Final = b"8BIM"
_IPTC: Final = 0x0404
_THUMBNAILS: Final = (0x0409, 0x040C)  # they would go on showing the grey picture


@dataclass(frozen=True)
class Split:
    """The IPTC record on its own, and the other resources still joined."""

    iptc: bytes | None
    others: bytes | None


def split(blocks: bytes) -> Split:
    """Take resources apart; thumbnails are dropped. What cannot be parsed stays with the others."""
    iptc, others, position = None, bytearray(), 0
    while blocks.startswith(_SIGNATURE, position) and position + 12 <= len(blocks):
        (kind, name_length) = struct.unpack_from(">HB", blocks, position + 4)
        data_at = position + 6 + (name_length + 2) // 2 * 2
        if data_at + 4 > len(blocks):
            break
        (size,) = struct.unpack_from(">I", blocks, data_at)
        end = data_at + 4 + size
        if end > len(blocks):
            break
        if kind == _IPTC:
            iptc = blocks[data_at + 4 : end]
        elif kind not in _THUMBNAILS:
            others += blocks[position:end] + b"\0" * (size % 2)
        position = end + size % 2
    others += blocks[position:].rstrip(b"\0")
    return Split(iptc or None, bytes(others) or None)


def join(iptc: bytes | None, others: bytes | None) -> bytes | None:
    """The resources as one run of blocks, IPTC first; None if there is nothing."""
    blocks = others or b""
    if iptc:
        padded = iptc + b"\0" * (len(iptc) % 2)
        blocks = _SIGNATURE + struct.pack(">HHI", _IPTC, 0, len(iptc)) + padded + blocks
    return blocks or None
