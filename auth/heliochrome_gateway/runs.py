"""How each run ended, for the record: also when nobody watches, and when the host was ended."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Any, Final

from aiohttp import web

from .audit import AuditLog
from .errors import StorageFailed
from .metrics import Metrics
from .ownership import Owners, Run
from .proxy import Host
from .refusals import Denied

_log = logging.getLogger("heliochrome.gateway")

_EVERY_S: Final = 2.0


class Runs:
    """Asks the host only while a run has not ended."""

    def __init__(self, host: Host, owners: Owners, audit: AuditLog, metrics: Metrics) -> None:
        self._host, self._owners = host, owners
        self._audit, self._metrics = audit, metrics
        self._begun = asyncio.Event()

    async def watching(self, app: web.Application) -> AsyncIterator[None]:
        """For cleanup_ctx."""
        self._begun.set()  # some may be left from before
        task = asyncio.create_task(self._watch())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def begun(self) -> None:
        self._begun.set()

    async def ended(self, run: Run, outcome: str) -> None:
        if not self._owners.end(run.id, outcome):
            return
        self._metrics.runs.labels(outcome).inc()
        await self._audit.write(
            "run",
            user=run.user,
            address=run.address,
            job=run.id,
            workflow_sha256=run.digest,
            nodes=run.nodes,
            models=run.models.split("\n") if run.models else [],
            duration_s=round(time.time() - run.began, 1),
            outcome=outcome,
        )

    async def _watch(self) -> None:
        while True:
            await self._begun.wait()
            self._begun.clear()
            try:
                if await self._look():
                    self._begun.set()
            except Denied:
                self._begun.set()  # the host is down; it may come back
            except StorageFailed as error:
                _log.error("%s", error)
                self._begun.set()
            await asyncio.sleep(_EVERY_S)

    async def _look(self) -> bool:
        """Whether there are runs that have not ended."""
        waiting = self._owners.unfinished()
        if not waiting:
            return False
        queue = (await self._host.read("GET", "/queue", "", {})).data
        here = _ids(queue)
        for run in waiting:
            if run.id in here:
                continue
            answer = await self._host.read("GET", f"/history/{run.id}", "", {})
            if not isinstance(answer.data, dict):
                continue
            entry = answer.data.get(run.id)
            if isinstance(entry, dict):
                self._owners.note_outputs(run.user, entry.get("outputs"))
                await self.ended(run, _outcome(entry))
            elif time.time() - run.began > _EVERY_S:  # else it is just being handed over
                await self.ended(run, "lost")
        return True


def _ids(queue: Any) -> set[str]:
    """Of the runs in the host's queue; each is a list with the id in second place."""
    found = queue if isinstance(queue, dict) else {}
    items = [*found.get("queue_running", []), *found.get("queue_pending", [])]
    return {item[1] for item in items if isinstance(item, list) and len(item) > 1}


def _outcome(entry: dict[str, Any]) -> str:
    status = entry.get("status")
    if not isinstance(status, dict):
        return "unknown"
    for message in status.get("messages", []):
        if isinstance(message, list) and message and message[0] == "execution_interrupted":
            return "interrupted"
    return str(status.get("status_str", "unknown"))[:20]
