"""Tokens: what a program shows instead of a password. Random, and kept only as SHA-256."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

from .users import Token

# Recognisable, so that a scanner finds one that was published by mistake.
PREFIX: Final = "heliochrome_"
_BYTES: Final = 32
_ID_BYTES: Final = 4


def new_token(created: str) -> tuple[str, Token]:
    """The token itself, to be shown once, and what is kept of it."""
    text = f"{PREFIX}{secrets.token_urlsafe(_BYTES)}"
    return text, Token(secrets.token_hex(_ID_BYTES), token_digest(text), created)


def token_digest(text: str) -> str:
    """A fast hash is enough: 256 random bits cannot be guessed."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
