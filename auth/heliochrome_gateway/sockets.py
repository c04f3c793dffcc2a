"""WebSockets (RFC 6455) between a browser and the host: filtered, bounded, and kept alive."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import uuid
from typing import Final

import aiohttp
from aiohttp import WSCloseCode, WSMsgType, web

from .identity import Identity
from .limits import Slots
from .login import still_welcome
from .messages import Filter, host_client_id
from .metrics import Metrics
from .ownership import Owners
from .proxy import Headers, Host
from .refusals import Denied
from .targets import Target

_log = logging.getLogger("heliochrome.gateway")

# A ping so often; a peer that does not answer it is gone.
_PING_S: Final = 30.0
_WELCOME_S: Final = 30.0
_CLOSE_S: Final = 5.0
_NOT_WELCOME: Final = 4401  # private use (RFC 6455, 7.4.2), after HTTP's 401
_CLIENT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
# May not be sent (RFC 6455, 7.4.1): they stand for "no code" and "connection lost".
_UNSENDABLE: Final = frozenset({1005, 1006, 1015})


class Sockets:
    """most_bytes: of one message, either way."""

    def __init__(
        self, host: Host, owners: Owners, slots: Slots, metrics: Metrics, most_bytes: int
    ) -> None:
        self._host, self._owners, self._slots = host, owners, slots
        self._metrics, self._most = metrics, most_bytes
        # Whose each client id is while it is connected.
        self._holders: dict[str, tuple[str, int]] = {}

    async def relay(
        self, request: web.Request, identity: Identity, target: Target, headers: Headers
    ) -> web.WebSocketResponse:
        """Raises Denied and TooMany before the socket is open."""
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise _not_a_socket()
        client_id = target.fields().get("clientId") or uuid.uuid4().hex
        if not _CLIENT_ID.fullmatch(client_id):
            raise _not_a_socket()
        query = f"clientId={host_client_id(identity, client_id)}"
        with self._slots.held(identity.name), self._metrics.sockets.track_inprogress():
            self._hold(client_id, identity)
            try:
                async with self._host.socket("/ws", query, headers, self._most, _PING_S) as there:
                    here = web.WebSocketResponse(
                        heartbeat=_PING_S, max_msg_size=self._most, compress=False, timeout=_CLOSE_S
                    )
                    await here.prepare(request)
                    passing = Filter(identity, client_id, self._owners)
                    await _both_ways(request, here, there, passing)
                    return here
            finally:
                self._release(client_id)

    def _hold(self, client_id: str, identity: Identity) -> None:
        name, count = self._holders.get(client_id, (identity.name, 0))
        if name != identity.name:
            raise Denied(
                403,
                "takeover",
                "This clientId is somebody else's. Reload the page to get one of your own.",
                "该 clientId 属于其他用户。请刷新页面以获取新的标识。",
            )
        self._holders[client_id] = (name, count + 1)

    def _release(self, client_id: str) -> None:
        name, count = self._holders[client_id]
        if count == 1:
            del self._holders[client_id]
        else:
            self._holders[client_id] = (name, count - 1)


async def _both_ways(
    request: web.Request,
    here: web.WebSocketResponse,
    there: aiohttp.ClientWebSocketResponse,
    passing: Filter,
) -> None:
    """Until one side ends, or who asks is not welcome any more; then the other gets its code."""
    up = asyncio.create_task(_up(here, there))
    down = asyncio.create_task(_down(there, here, passing))
    welcome = asyncio.create_task(_while_welcome(request))
    tasks = (up, down, welcome)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # Also when this is cancelled, as it is once the browser's connection is gone.
        unwelcome = welcome.done()
        for task in tasks:
            task.cancel()
        for error in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(error, Exception):
                _log.debug("A WebSocket ended: %r", error)
        if unwelcome:
            await here.close(code=_NOT_WELCOME, message=b"sign in again")
        elif here.closed:
            await there.close(code=_code(here.close_code))
        else:
            await here.close(code=_code(there.close_code))


async def _up(here: web.WebSocketResponse, there: aiohttp.ClientWebSocketResponse) -> None:
    """The frontend says what it can do, and nothing else that the host would listen to."""
    async for message in here:
        if message.type is WSMsgType.TEXT and _is_flags(message.data):
            await there.send_str(message.data)


async def _down(
    there: aiohttp.ClientWebSocketResponse, here: web.WebSocketResponse, passing: Filter
) -> None:
    async for message in there:
        if message.type is WSMsgType.TEXT:
            if (text := passing.text(message.data)) is not None:
                await here.send_str(text)
        elif message.type is WSMsgType.BINARY and (content := passing.binary(message.data)):
            await here.send_bytes(content)


async def _while_welcome(request: web.Request) -> None:
    while still_welcome(request):
        await asyncio.sleep(_WELCOME_S)


def _is_flags(text: str) -> bool:
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(event, dict) and event.get("type") == "feature_flags"


def _code(code: int | None) -> int:
    """What the other side is told: 1001 where this one went without a word."""
    if code is None or code in _UNSENDABLE:
        return WSCloseCode.GOING_AWAY
    return code


def _not_a_socket() -> Denied:
    return Denied(
        400,
        "socket",
        "A WebSocket was expected here, with a clientId of up to 64 letters and digits.",
        "此处需要 WebSocket 连接，clientId 最多 64 个字母或数字。",
    )
