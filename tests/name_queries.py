"""Queries to name servers (RFC 1035), read."""

from __future__ import annotations

from typing import Final

HEADER: Final = 12  # bytes before the question


def asked_name(query: bytes) -> str:
    """The name that it is for, in lower case. query: from its header on, cut off or not."""
    labels, found = query[HEADER:], []
    while labels and labels[0]:
        found.append(labels[1 : 1 + labels[0]].decode("ascii", "replace").lower())
        labels = labels[1 + labels[0] :]
    return ".".join(found)
