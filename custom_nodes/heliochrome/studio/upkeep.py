"""What the server does while nobody asks: reports go out, and what is old is deleted."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from datetime import datetime, timezone
from typing import Final

import aiohttp

from ..core.errors import OutputFailed
from .jobs import Jobs
from .outbox import Outbox
from .presentation import job_json
from .settings import StudioSettings
from .shelf import Shelf
from .webhooks import Webhooks

_log = logging.getLogger("heliochrome.studio")

_EVERY_S: Final = 1.0
_EXPIRE_S: Final = 60.0
JOB_OVER: Final = "job.over"


async def look_after(
    settings: StudioSettings, jobs: Jobs, shelf: Shelf, outbox: Outbox, webhooks: Webhooks
) -> None:
    """Until cancelled."""
    expired = 0.0
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                if time.monotonic() - expired > _EXPIRE_S:
                    expired = time.monotonic()
                    _expire(settings.keep_s, jobs, shelf)
                for over in outbox.over():
                    job = jobs.find(over.owner, over.job)
                    outbox.post(over, _report(job_json(job, {}, settings.keep_s)))
                await webhooks.deliver_due(session)
            except OutputFailed as error:
                _log.error("%s", error)
            await asyncio.sleep(_EVERY_S)


def _expire(keep_s: float, jobs: Jobs, shelf: Shelf) -> None:
    before = time.time() - keep_s
    deleted = jobs.expire(before), shelf.expire(before)
    if any(deleted):
        _log.info("Expired: %d jobs, %d photographs without a job.", *deleted)


def _report(data: object) -> str:
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return json.dumps({"type": JOB_OVER, "timestamp": now, "data": data})
