"""What the Authorization header says (RFC 9110, 11.6.2)."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Basic:
    """RFC 7617, in UTF-8 as the challenge asks."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Bearer:
    """RFC 6750."""

    token: str = field(repr=False)


def parse(header: str) -> Basic | Bearer | None:
    """None: not one of these, or damaged."""
    scheme, _, value = header.partition(" ")
    value = value.strip(" ")
    if scheme.lower() == "bearer":
        return Bearer(value) if value else None
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:  # neither base64 nor UTF-8
        return None
    return Basic(name, password) if colon else None
