"""A photograph's file from the network onto the shelf: whole, checked, or not there."""

from __future__ import annotations

import asyncio
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from aiohttp import web

from ..core.errors import BadImage
from .asking import Asker
from .names import plain_name
from .records import Photo
from .refusals import Refusal
from .shelf import Shelf

_WRITTEN: Final = 1 << 20
_DECODERS: Final = 2


class Receiver:
    """most: bytes of a photograph. At most _DECODERS are decoded at once, whoever sends them: each
    may take hundreds of megabytes."""

    def __init__(self, shelf: Shelf, most: int) -> None:
        self._shelf, self._most = shelf, most
        self._decoders = ThreadPoolExecutor(_DECODERS, thread_name_prefix="decoder")

    async def receive(self, request: web.Request, asker: Asker, name: str) -> Photo:
        """The body of `request` as a photograph.

        Raises Refusal, BadImage and OSError; nothing stays behind then, nor when the sender goes
        away.
        """
        shelf = self._shelf
        if (length := request.content_length or 0) > self._most:
            raise _too_large(self._most)
        shelf.require_room(asker.name, length)
        file = shelf.new_file()
        try:
            size, digest = await _write(request, file, self._most)
            if size == 0:
                raise Refusal("bad_request", "The body must be the photograph's file.")
            shelf.require_room(asker.name, size)
            loop = asyncio.get_running_loop()
            try:
                looked = await loop.run_in_executor(self._decoders, shelf.look, file)
            except BadImage as error:
                shown = plain_name(name) if name else "the photograph"
                raise BadImage(str(error).replace(str(file), shown)) from error
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
        # On the disk before anybody is told that it is here.
        await asyncio.to_thread(_sync, out)
    return size, digest.hexdigest()


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _too_large(most: int) -> Refusal:
    return Refusal(
        "photo_too_large", f"A photograph may have up to {most / 1e6:g} MB. Send a smaller file."
    )
