"""A photograph's file from the network onto the shelf: whole, checked, or not there."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Final

from aiohttp import web

from ..core.errors import BadImage
from .asking import Asker
from .records import Photo
from .refusals import Refusal
from .shelf import Shelf

_WRITTEN: Final = 1 << 20


async def receive(request: web.Request, asker: Asker, shelf: Shelf, most: int, name: str) -> Photo:
    """The body of `request` as a photograph. most: bytes.

    Raises Refusal, BadImage and OSError; nothing stays behind then, nor when the sender goes away.
    """
    if (length := request.content_length or 0) > most:
        raise _too_large(most)
    shelf.require_room(asker.name, length)
    file = shelf.new_file()
    try:
        size, digest = await _write(request, file, most)
        if size == 0:
            raise Refusal("bad_request", "The body must be the photograph's file.")
        shelf.require_room(asker.name, size)
        try:
            looked = await asyncio.to_thread(shelf.look, file)
        except BadImage as error:
            raise BadImage(str(error).replace(str(file), name or "the photograph")) from error
        return shelf.take(file, looked, asker.name, name, size, digest)
    finally:
        with suppress(OSError):
            file.unlink(missing_ok=True)


async def _write(request: web.Request, file: Path, most: int) -> tuple[int, str]:
    """Its size and its SHA-256 (hex)."""
    size, digest, held = 0, hashlib.sha256(), bytearray()
    with file.open("xb") as out:

        def keep(content: bytes) -> None:
            out.write(content)
            digest.update(content)

        async for piece in request.content.iter_any():
            size += len(piece)
            if size > most:
                raise _too_large(most)
            held += piece
            if len(held) >= _WRITTEN:
                await asyncio.to_thread(keep, bytes(held))
                held.clear()
        await asyncio.to_thread(keep, bytes(held))
    return size, digest.hexdigest()


def _too_large(most: int) -> Refusal:
    return Refusal(
        "photo_too_large", f"A photograph may have up to {most / 1e6:g} MB. Send a smaller file."
    )
