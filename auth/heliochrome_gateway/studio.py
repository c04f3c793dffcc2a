"""The studio behind the door: who asks goes with each request, and what it did into the record.

The studio says in a header of its answer what is to be recorded, before any of the answer goes
out; how photographs ended, which is later, it keeps until it is fetched.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import aiohttp
from aiohttp import web

from .audit import AuditLog
from .audit_events import KINDS, Fact
from .errors import StorageFailed
from .headers import to_host
from .identity import Identity
from .metrics import Metrics
from .proxy import Host
from .refusals import Denied, not_offered
from .routes import check_studio
from .settings import GatewaySettings
from .targets import Target

_log = logging.getLogger("heliochrome.gateway")

_TOKEN: Final = "Heliochrome-Token"
_EVENT: Final = "Heliochrome-Event"
# For us alone: how photographs ended.
_INTERNAL: Final = "/internal"
_EVENTS: Final = f"{_INTERNAL}/events"
_EVERY_S: Final = 2.0
_TOLD: Final = frozenset({"upload", "run", "download", "delete"})


class Studio:
    def __init__(
        self, settings: GatewaySettings, host: Host, audit: AuditLog, metrics: Metrics
    ) -> None:
        self._settings, self._host = settings, host
        self._audit, self._metrics = audit, metrics

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Raises Denied and StorageFailed."""
        target: Target = request["target"]
        identity: Identity = request["identity"]
        check_studio(request.method, identity.role)
        if target.path == _INTERNAL or target.path.startswith(f"{_INTERNAL}/"):
            raise not_offered()
        address: str = request["address"]
        headers = to_host(request.headers, identity, address, secure=self._settings.secure)
        headers[_TOKEN] = self._settings.studio_token

        async def noting(answer: aiohttp.ClientResponse) -> None:
            if event := answer.headers.get(_EVENT):
                await self._record(identity.name, address, json.loads(event))

        return await self._host.pass_on(
            request, target.path, target.query, headers, self._settings.max_upload_bytes, noting
        )

    async def watching(self, app: web.Application) -> AsyncIterator[None]:
        """For cleanup_ctx."""
        task = asyncio.create_task(self._watch())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            try:
                await self._look()
            except Denied:
                pass  # it is down; it keeps what is to be told
            except StorageFailed as error:
                _log.error("%s", error)
            await asyncio.sleep(_EVERY_S)

    async def _look(self) -> None:
        """Write down how photographs ended and what has expired, and let the studio forget it."""
        own = {
            _TOKEN: self._settings.studio_token,
            "Heliochrome-User": "gateway",
            "Heliochrome-Role": "gateway",
        }
        found = (await self._host.read("GET", _EVENTS, "", own)).data
        events = found.get("events", []) if isinstance(found, dict) else []
        for event in events:
            try:
                facts = event["facts"]
                if facts["kind"] == "run":
                    self._metrics.runs.labels(str(facts["outcome"])).inc()
                await self._record(event["user"], "", facts)
            except (LookupError, TypeError, ValueError) as error:
                # Not to stand in the way of those that come after it.
                _log.error("What the studio tells cannot be understood: %r, %r", event, error)
            await self._host.read("DELETE", _EVENTS, f"upto={int(event['number'])}", own)

    async def _record(self, user: str, address: str, event: Mapping[str, Any]) -> None:
        kind = str(event.get("kind"))
        if kind not in _TOLD:
            _log.error("The studio tells of %r, which is no event of its own.", kind)
            return
        facts: dict[str, Fact] = {
            name: value for name, value in event.items() if name in KINDS[kind].facts
        }
        await self._audit.write(kind, user=user, address=address, **facts)
