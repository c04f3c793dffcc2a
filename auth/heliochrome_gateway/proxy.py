"""HTTP to the host and back: streamed both ways, never held whole, ended with whoever asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

import aiohttp
from aiohttp import web
from yarl import URL

from .bodies import body_of
from .headers import from_host
from .refusals import Denied
from .targets import encoded

_CONNECT_S: Final = 5.0
# The host says nothing for so long: it hangs. (It answers at once and works in a queue.)
_SILENCE_S: Final = 300.0
# Shorter than what hosts keep a connection, so that none is used as it is being closed.
_KEEP_S: Final = 15.0
_SMALL: Final = 64 * 1024
_LARGEST_JSON: Final = 64 * 1024 * 1024
_NO_BODY: Final = frozenset({204, 304})
_HANDSHAKE: Final = frozenset({"connection", "upgrade", "content-length"})

Headers = Mapping[str, str]
Noting = Callable[[aiohttp.ClientResponse], Awaitable[None]]


@dataclass(frozen=True)
class Answer:
    """What the host said, whole. data: the JSON, None where it is not JSON."""

    status: int
    data: Any
    body: bytes
    headers: Headers


def new_session() -> aiohttp.ClientSession:
    """Of the gateway with its hosts. It adds nothing of its own and unpacks nothing."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENCE_S),
        max_line_size=16 * 1024,
        max_field_size=16 * 1024,
    )


class Host:
    """ComfyUI or the studio. name: for messages. origin: as in the settings."""

    def __init__(self, name: str, origin: str, session: aiohttp.ClientSession) -> None:
        self._name, self._origin, self._session = name, origin, session

    def _url(self, path: str, query: str) -> URL:
        """path: decoded; query: encoded."""
        mark = "?" if query else ""
        return URL(f"{self._origin}{encoded(path)}{mark}{query}", encoded=True)

    async def pass_on(
        self,
        request: web.Request,
        path: str,
        query: str,
        headers: Headers,
        most: int,
        noting: Noting | None = None,
    ) -> web.StreamResponse:
        """Let a request through, and its answer back. most: bytes of the body. noting: is
        awaited with the answer's head before any of it goes out. Raises Denied."""
        body = body_of(request, most)
        async with self.asking(request.method, path, query, headers, body) as answer:
            if noting is not None:
                await noting(answer)
            return await self._bring_back(request, answer)

    async def _bring_back(
        self, request: web.Request, answer: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        kept, length = from_host(answer.headers), answer.content_length
        empty = request.method == "HEAD" or answer.status in _NO_BODY
        if not empty and length is not None and length <= _SMALL:
            # In one packet with its head.
            body = await answer.read()
            return web.Response(body=body, status=answer.status, headers=kept)
        response = web.StreamResponse(status=answer.status, headers=kept)
        await response.prepare(request)
        try:
            if not empty:
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
        except (aiohttp.ClientError, asyncio.TimeoutError):
            # Its head is out already: only a broken connection says that the rest is missing.
            if request.transport is not None:
                request.transport.abort()
            return response
        await response.write_eof()
        return response

    async def read(
        self,
        method: str,
        path: str,
        query: str,
        headers: Headers,
        *,
        body: Any = None,
        most: int = _LARGEST_JSON,
    ) -> Answer:
        """Ask and take the whole answer. body: bytes, or what aiohttp makes a body of."""
        plain = {**headers, "Accept-Encoding": "identity"}
        async with self.asking(method, path, query, plain, body) as answer:
            content = b""
            async for chunk in answer.content.iter_any():
                content += chunk
                if len(content) > most:
                    raise self._down("its answer is too long")
            return Answer(answer.status, _json(content), content, from_host(answer.headers))

    def asking(
        self, method: str, path: str, query: str, headers: Headers, body: Any
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """The answer, while it is read. Raises Denied (502, 504) where the host gives none."""
        url = self._url(path, query)
        asked = self._session.request(
            method, url, headers=headers, data=body, allow_redirects=False
        )
        return _Asking(asked, self._down)

    @asynccontextmanager
    async def socket(
        self, path: str, query: str, headers: Headers, most: int, ping_s: float
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """most: bytes of a message. Raises Denied (502) where there is none to be had."""
        # The handshake's own headers are between us and the host.
        kept = {name: value for name, value in headers.items() if name.lower() not in _HANDSHAKE}
        try:
            socket = await self._session.ws_connect(
                self._url(path, query),
                headers=kept,
                max_msg_size=most,
                heartbeat=ping_s,
                compress=0,
            )
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            raise self._down("it opens no WebSocket") from error
        async with socket:
            yield socket

    def _down(self, why: str, status: int = 502) -> Denied:
        return Denied(
            status,
            "host",
            f"{self._name} cannot be reached: {why}. Try again in a minute; if it lasts, tell "
            "whoever looks after this machine.",
            f"无法连接 {self._name}。请稍后重试；如仍无法使用，请联系管理员。",
            recorded=False,
        )


class _Asking:
    """As asynccontextmanager makes one of a generator, which takes longer: it is at every
    request. down: of a Host."""

    def __init__(
        self,
        asked: AbstractAsyncContextManager[aiohttp.ClientResponse],
        down: Callable[[str, int], Denied],
    ) -> None:
        self._asked, self._down = asked, down

    async def __aenter__(self) -> aiohttp.ClientResponse:
        try:
            return await self._asked.__aenter__()
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            self._tell(error)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._asked.__aexit__(kind, error, trace)
        self._tell(error)

    def _tell(self, error: BaseException | None) -> None:
        """Raise what a person is to read of it."""
        if isinstance(error, asyncio.TimeoutError):
            raise self._down("it does not answer in time", 504) from error
        if isinstance(error, aiohttp.ClientError):
            if isinstance(error.__cause__, Denied):
                raise error.__cause__ from None
            raise self._down("it does not answer", 502) from error


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
