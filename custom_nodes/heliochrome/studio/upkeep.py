"""What the server does while nobody asks: reports go out, and what is old is deleted."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Final

import aiohttp

from ..core.errors import HeliochromeError
from .jobs import Jobs
from .keeping import Keeping
from .outbox import Outbox
from .presentation import job_json
from .shelf import Shelf
from .webhooks import Webhooks

_log = logging.getLogger("heliochrome.studio")

_EVERY_S: Final = 1.0
_EXPIRE_S: Final = 60.0
_GRACE_S: Final = 86_400.0
_JUMP_S: Final = 3600.0
JOB_OVER: Final = "job.over"


class Expiry:
    """What is so old that it is deleted. Not soon after a start, and not when the clock has just
    jumped: a machine that was off, or has forgotten the date, takes nothing at once."""

    def __init__(
        self,
        keeping: Keeping,
        clock: Callable[[], float] = time.time,
        uptime: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keeping, self._clock, self._uptime = keeping, clock, uptime
        self._grace_s = min(_GRACE_S, keeping.seconds / 7)
        self._offset = clock() - uptime()
        self._from = uptime() + self._grace_s

    def before(self) -> float | None:
        """What was over before then has expired; None while nothing is to be deleted."""
        offset = self._clock() - self._uptime()
        if abs(offset - self._offset) > _JUMP_S:
            self._from = self._uptime() + self._grace_s
        self._offset = offset
        return self._keeping.expired(self._clock()) if self._uptime() >= self._from else None


async def look_after(
    keeping: Keeping, jobs: Jobs, shelf: Shelf, outbox: Outbox, webhooks: Webhooks
) -> None:
    """Until cancelled."""
    expiry, looked = Expiry(keeping), 0.0
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                if time.monotonic() - looked > _EXPIRE_S:
                    looked = time.monotonic()
                    _expire(expiry.before(), jobs, shelf)
                for over in outbox.over():
                    job = jobs.find(over.owner, over.job)
                    outbox.post(over, _report(job_json(job, {}, keeping)))
                await webhooks.deliver_due(session)
            except (HeliochromeError, OSError) as error:
                _log.error("%s", error)
            await asyncio.sleep(_EVERY_S)


def _expire(before: float | None, jobs: Jobs, shelf: Shelf) -> None:
    if before is None:
        return
    deleted = jobs.expire(before), shelf.expire(before)
    if any(deleted):
        _log.info("Expired: %d jobs, %d photographs without a job.", *deleted)


def _report(data: object) -> str:
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return json.dumps({"type": JOB_OVER, "timestamp": now, "data": data})
