"""One request to ComfyUI that a rule lets through, with what its handlers have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from .bodies import read_body
from .graphs import parse_object
from .headers import to_host
from .identity import Identity
from .proxy import Answer, Host
from .routes import Match
from .settings import GatewaySettings
from .targets import Target

_SMALL_BODY: Final = 64 * 1024
_JSON: Final = "application/json"
_OF_A_BODY: Final = frozenset({"content-length", "content-type", "content-encoding"})
_OF_A_CACHE: Final = frozenset({"if-none-match", "if-modified-since", "range"})


class Asked:
    """headers: for the host, with what was sent. address: the client's."""

    def __init__(
        self, request: web.Request, target: Target, match: Match, settings: GatewaySettings
    ) -> None:
        self.request, self.target, self.match = request, target, match
        self.identity: Identity = request["identity"]
        self.address: str = request["address"]
        self.headers = to_host(request.headers, self.identity, self.address, secure=settings.secure)

    def for_json(self) -> dict[str, str]:
        """The headers for a request whose body is ours, or which has none."""
        dropped = _OF_A_BODY | _OF_A_CACHE
        kept = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
        return {**kept, "Content-Type": _JSON}

    async def object(self) -> dict[str, Any]:
        """The body, where it is a small JSON object. Raises Denied."""
        return parse_object(await read_body(self.request, _SMALL_BODY))

    async def ask(self, host: Host, query: str | None = None) -> Answer:
        """The host's whole answer to a GET. query: instead of the one that came."""
        return await host.read(
            "GET",
            self.match.path,
            self.target.query if query is None else query,
            self.for_json(),
        )

    async def tell(self, host: Host, said: dict[str, Any]) -> web.StreamResponse:
        """Send JSON of ours to where the request goes."""
        body = web.json_response(said).body
        return as_it_came(await host.read("POST", self.match.path, "", self.for_json(), body=body))


Handler = Callable[[Asked], Awaitable[web.StreamResponse]]


def as_it_came(answer: Answer) -> web.Response:
    return web.Response(body=answer.body, status=answer.status, headers=answer.headers)
