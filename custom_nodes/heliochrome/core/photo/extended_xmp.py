"""XMP over 64 kB in a JPEG: a main packet and its extension (XMP specification part 3, 1.1.3.1)."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from xml.dom.minidom import Element

from .. import xmp

_NOTE: Final = "http://ns.adobe.com/xmp/note/"
_HAS_EXTENDED: Final = "HasExtendedXMP"
_LARGEST: Final = 64 << 20
_POINTER_ROOM: Final = 400  # the description that names the extension


@dataclass(frozen=True)
class Packets:
    """What fits the first segment, and the rest if there is one."""

    main: bytes
    extension: bytes | None = None

    def parts(self, size: int) -> Iterator[tuple[bytes, bytes]]:
        """Header (digest, full length, offset) and payload of each extension segment."""
        rest = self.extension or b""
        digest = _digest(rest)
        for start in range(0, len(rest), size):
            yield digest + struct.pack(">II", len(rest), start), rest[start : start + size]


class Received:
    """Extension segments of a file being read."""

    def __init__(self) -> None:
        self._parts: dict[bytes, dict[int, bytes]] = {}
        self._lengths: dict[bytes, int] = {}

    def __bool__(self) -> bool:
        return bool(self._parts)

    def add(self, segment: bytes) -> None:
        """One segment after its name: digest, full length, offset, payload."""
        if len(segment) < 40:
            return
        digest, (length, offset) = segment[:32], struct.unpack_from(">II", segment, 32)
        self._lengths[digest] = length
        self._parts.setdefault(digest, {})[offset] = segment[40:]

    def merge_into(self, main: bytes) -> bytes | None:
        """One packet with everything; None if either side is damaged or a part is missing."""
        try:
            packet = xmp.Packet(main)
            pointer = next(packet.properties(_NOTE, _HAS_EXTENDED), None)
            digest = xmp.value_of(pointer).encode() if pointer else b""
            parts = self._parts.get(digest, {})
            whole = b"".join(parts[offset] for offset in sorted(parts))
            if pointer is None or not whole or len(whole) != self._lengths[digest]:
                return None
            packet.remove(pointer)
            extension = xmp.Packet(whole)
        except xmp.MalformedXmp:
            return None
        for description in extension.descriptions():
            _declare_inherited(description)
            packet.rdf.appendChild(packet.document.importNode(description, True))
        return packet.to_bytes()


def split(packet: bytes, limit: int) -> Packets:
    """Move the largest properties to an extension until the main packet fits `limit` bytes.

    Raises MalformedXmp if it cannot be made to fit or is larger than any reader takes.
    """
    if len(packet) <= limit:
        return Packets(packet)
    if len(packet) > _LARGEST:
        raise xmp.MalformedXmp(f"it is {len(packet)} bytes long")
    main, extension = xmp.Packet(packet), xmp.Packet()
    for description in main.descriptions():
        _attributes_to_elements(main, description)
    movable = [
        (len(node.toxml().encode()), description, node)
        for description in main.descriptions()
        for node in xmp.children(description)
    ]
    movable.sort(key=lambda found: found[0], reverse=True)
    size = len(main.to_bytes())
    for length, description, node in movable:
        if size <= limit - _POINTER_ROOM:
            break
        _declare_inherited(node)
        description.removeChild(node)
        target = extension.add_description({})
        target.appendChild(extension.document.importNode(node, True))
        size -= length
    rest = extension.to_bytes(wrapped=False)
    pointer = main.add_description({"xmpNote": _NOTE})
    main.append(pointer, _NOTE, f"xmpNote:{_HAS_EXTENDED}", _digest(rest).decode())
    if len(main.to_bytes()) > limit:
        raise xmp.MalformedXmp("its main part does not fit a JPEG segment")
    return Packets(main.to_bytes(), rest)


def _attributes_to_elements(packet: xmp.Packet, description: Element) -> None:
    """RDF's short form of a simple property, written long so that it can be moved."""
    for attribute in list(description.attributes.values()):
        if xmp.is_property(attribute):
            uri = attribute.namespaceURI or ""
            packet.append(description, uri, attribute.name, attribute.value)
            description.removeAttributeNode(attribute)


def _declare_inherited(node: Element) -> None:
    """Repeat on `node` the prefixes that the elements above it declare."""
    above = node.parentNode
    while isinstance(above, Element):
        for attribute in list(above.attributes.values()):
            if attribute.namespaceURI == xmp.XMLNS and not node.hasAttribute(attribute.name):
                node.setAttributeNS(xmp.XMLNS, attribute.name, attribute.value)
        above = above.parentNode


def _digest(extension: bytes) -> bytes:
    """The specification's identifier: an MD5 that finds parts, not one that protects them."""
    return hashlib.md5(extension, usedforsecurity=False).hexdigest().upper().encode()
