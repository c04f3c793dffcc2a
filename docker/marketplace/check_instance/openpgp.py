"""Fingerprints of OpenPGP keys, without gpg."""

from __future__ import annotations

import base64
import hashlib


def fingerprints(key: bytes) -> list[str]:
    """Of the primary keys of an OpenPGP file, armoured or not (RFC 4880, 4.2 and 12.2)."""
    if key.startswith(b"-----BEGIN PGP"):
        armour = key.replace(b"\r", b"").partition(b"\n\n")[2].partition(b"\n-----END")[0]
        parts = [line for line in armour.split(b"\n") if not line.startswith(b"=")]
        try:
            key = base64.b64decode(b"".join(parts))
        except ValueError:
            return []
    found: list[str] = []
    at = 0
    while at + 2 < len(key):
        head, first = key[at], key[at + 1]
        if head & 0x40:
            tag, width = head & 0x3F, 1 if first < 192 else 2 if first < 224 else 5
            size = (
                first
                if width == 1
                else ((first - 192) << 8) + key[at + 2] + 192
                if width == 2
                else int.from_bytes(key[at + 2 : at + 6], "big")
            )
        else:
            tag, width = (head >> 2) & 0xF, 1 << (head & 3)
            size = int.from_bytes(key[at + 1 : at + 1 + width], "big")
        body = key[at + 1 + width : at + 1 + width + size]
        if tag == 6 and len(body) > 0xFFFF:
            found.append("a key that is too long")
        elif tag == 6:
            mark = b"\x99" + len(body).to_bytes(2, "big")
            found.append(hashlib.sha1(mark + body).hexdigest().upper())
        at += 1 + width + size
    return found
