"""ComfyUI behind the door: which handler takes what a rule lets through."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from aiohttp import web

from . import listings
from .asked import Asked, Handler
from .file_requests import FileRequests
from .identity import Identity
from .proxy import Host
from .routes import Handling, Routes
from .run_requests import RunRequests
from .settings import GatewaySettings
from .sockets import Sockets
from .targets import Target


class ComfyUI:
    """nodes: the class_types that may be used."""

    def __init__(
        self,
        settings: GatewaySettings,
        host: Host,
        runs: RunRequests,
        files: FileRequests,
        sockets: Sockets,
        nodes: Collection[str],
    ) -> None:
        self._settings, self._host = settings, host
        self._sockets, self._nodes = sockets, nodes
        self._routes = Routes()
        self._handlers: Mapping[Handling, Handler] = {
            **runs.handlers,
            **files.handlers,
            "pass": self._pass,
            "socket": self._socket,
            "object_info": self._object_info,
            "system_stats": self._system_stats,
        }

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Raises Denied, Refused and StorageFailed."""
        target: Target = request["target"]
        identity: Identity = request["identity"]
        match = self._routes.match(request.method, target.path, identity.role)
        return await self._handlers[match.rule.handling](
            Asked(request, target, match, self._settings)
        )

    async def _pass(self, asked: Asked) -> web.StreamResponse:
        return await self._host.pass_on(
            asked.request,
            asked.match.path,
            asked.target.query,
            asked.headers,
            self._settings.max_body_bytes,
        )

    async def _socket(self, asked: Asked) -> web.StreamResponse:
        return await self._sockets.relay(asked.request, asked.identity, asked.target, asked.headers)

    async def _object_info(self, asked: Asked) -> web.StreamResponse:
        answer = await asked.ask(self._host)
        return web.json_response(listings.nodes(answer.data, self._nodes))

    async def _system_stats(self, asked: Asked) -> web.StreamResponse:
        answer = await asked.ask(self._host)
        return web.json_response(listings.system(answer.data))
