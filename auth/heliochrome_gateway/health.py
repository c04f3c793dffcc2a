"""For whoever watches the gateway: that it lives, and that it can serve."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from aiohttp import web

from .proxy import Host
from .refusals import Denied

ALIVE: Final = "/healthz"
READY: Final = "/readyz"
# Anybody may ask; the host is asked once in so long.
_FRESH_S: Final = 1.0


class Health:
    """hosts: each with a path that answers 200 when it works."""

    def __init__(self, hosts: dict[Host, str], clock: Callable[[], float] = time.monotonic) -> None:
        self._hosts, self._clock = hosts, clock
        self._ready, self._until = False, clock()

    async def alive(self, request: web.Request) -> web.Response:
        return _said("alive", 200)

    async def ready(self, request: web.Request) -> web.Response:
        """503 while a host does not answer; which one is in the answer to no stranger."""
        if self._clock() >= self._until:
            self._ready = all([await _answers(host, path) for host, path in self._hosts.items()])
            self._until = self._clock() + _FRESH_S
        return _said("ready", 200) if self._ready else _said("not ready", 503)


async def _answers(host: Host, path: str) -> bool:
    try:
        answer = await host.read("GET", path, "", {})
    except Denied:
        return False
    return answer.status == 200


def _said(word: str, status: int) -> web.Response:
    return web.Response(text=f"{word}\n", status=status, headers={"Cache-Control": "no-store"})
