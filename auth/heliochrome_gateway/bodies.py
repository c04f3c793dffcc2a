"""The body of a request: piece by piece as it comes, bounded, and not waited for without end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final

from aiohttp import web

from .refusals import Denied

# A browser sends nothing of a body for so long: slow-loris, or a network that is gone.
_STALLED_S: Final = 30.0


def body_of(request: web.Request, most: int) -> AsyncIterator[bytes] | None:
    """The body, piece by piece as it comes; None where there is none. Raises Denied (413, 408)."""
    if not request.body_exists:
        return None
    if (request.content_length or 0) > most:
        raise _too_large(most)
    return _pieces(request, most)


async def read_body(request: web.Request, most: int) -> bytes:
    """The whole body, for what must be understood before it goes on."""
    pieces = body_of(request, most)
    return b"".join([piece async for piece in pieces]) if pieces else b""


@contextmanager
def moving(request: web.Request) -> Iterator[None]:
    """While a piece of the body is awaited: if none comes, reading it raises Denied (408).

    Much cheaper than wait_for, which makes a task for each piece.
    """
    # aiohttp itself reads on to the end afterwards, and expects this one of a body.
    stop, stalled = request.content.set_exception, asyncio.TimeoutError()
    watch = asyncio.get_running_loop().call_later(_STALLED_S, stop, stalled)
    try:
        yield
    except asyncio.TimeoutError as error:
        raise _stalled() from error
    finally:
        watch.cancel()


async def _pieces(request: web.Request, most: int) -> AsyncIterator[bytes]:
    size = 0
    while True:
        with moving(request):
            piece = await request.content.readany()
        if not piece:
            return
        size += len(piece)
        if size > most:
            raise _too_large(most)
        yield piece


def _too_large(most: int) -> Denied:
    return Denied(
        413,
        "size",
        f"This is larger than the {most / 1e6:g} MB that are taken. Send a smaller file.",
        f"内容超过 {most / 1e6:g} MB 的上限。请发送较小的文件。",
    )


def _stalled() -> Denied:
    return Denied(
        408,
        "stalled",
        f"Nothing came for {_STALLED_S:g} s. Try again on a better connection.",
        f"{_STALLED_S:g} 秒内没有收到数据。请在网络良好时重试。",
    )
