"""Jobs of an owner: made, listed, stopped, tried again, deleted."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from sqlite3 import Row
from typing import Final

from .database import Database
from .outbox import note_event
from .records import OPEN, Job, Order, Photo
from .refusals import Refusal, not_found
from .shelf import EXPIRED, Shelf, photo_of

_LISTED: Final = 200


class Jobs:
    def __init__(
        self, base: Database, shelf: Shelf, clock: Callable[[], float] = time.time
    ) -> None:
        self._base, self._shelf, self._clock = base, shelf, clock

    def make(self, owner: str, photos: Sequence[str], order: Order) -> Job:
        """Queue photographs that the owner has brought, and that are in no job. Raises Refusal."""
        job_id = uuid.uuid4().hex
        with self._base.at_once():
            self._base.change(
                "INSERT INTO jobs (id, owner, preset, preview, webhook, created) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                *(job_id, owner, order.preset, order.preview, order.webhook, self._clock()),
            )
            for place, photo_id in enumerate(photos):
                done = self._base.change(
                    "UPDATE photos SET job = ?, place = ?, state = 'queued' "
                    "WHERE id = ? AND owner = ? AND job IS NULL",
                    *(job_id, place, photo_id, owner),
                )
                if not done:
                    self._shelf.find(owner, photo_id)
                    raise Refusal(
                        "not_ready",
                        f"The photograph {photo_id} is in a job already. Bring it once more to "
                        "colour it in another way.",
                    )
        return self.find(owner, job_id)

    def find(self, owner: str, job_id: str) -> Job:
        """Raises Refusal (not_found)."""
        row = self._base.one("SELECT * FROM jobs WHERE id = ? AND owner = ?", job_id, owner)
        if row is None:
            raise not_found("job")
        return self._job(row)

    def all(self, owner: str) -> list[Job]:
        """The newest first."""
        rows = self._base.all(
            "SELECT * FROM jobs WHERE owner = ? ORDER BY created DESC LIMIT ?", owner, _LISTED
        )
        return [self._job(row) for row in rows]

    def stop(self, owner: str, job_id: str) -> Job:
        """What waits is cancelled; the worker is asked to leave what it has begun."""
        job = self.find(owner, job_id)
        with self._base.at_once():
            self._base.change(
                "UPDATE photos SET state = 'cancelled' WHERE job = ? AND state = 'queued'", job.id
            )
            self._base.change(
                "UPDATE photos SET stop = 1 WHERE job = ? AND state = 'running'", job.id
            )
        return self.find(owner, job_id)

    def retry(self, owner: str, job_id: str) -> Job:
        """Queue what failed or was cancelled once more."""
        job = self.find(owner, job_id)
        with self._base.at_once():
            self._base.change(
                "UPDATE photos SET state = 'queued', attempts = 0, progress = 0, stop = 0, "
                "failure = NULL WHERE job = ? AND state IN ('failed', 'cancelled')",
                job.id,
            )
            self._base.change("UPDATE jobs SET told = 0 WHERE id = ?", job.id)
        return self.find(owner, job_id)

    def delete(self, owner: str, job_id: str) -> None:
        """With its photographs and results. Raises Refusal while it is being worked on."""
        job = self.find(owner, job_id)
        with self._base.at_once():
            if self._base.one(
                "SELECT 1 FROM photos WHERE job = ? AND state IN ('queued', 'running')", job.id
            ):
                raise Refusal("not_ready", "This job is not over. Stop it first, then delete it.")
            self._base.change("DELETE FROM photos WHERE job = ?", job.id)
            self._base.change("DELETE FROM jobs WHERE id = ?", job.id)
        for photo in job.photos:
            self._shelf.delete_files(photo.id)

    def expire(self, before: float) -> int:
        """Delete jobs that were made before then and are over. How many they were."""
        rows = self._base.all("SELECT * FROM jobs WHERE created < ?", before)
        over = [job for row in rows if (job := self._job(row)).state not in OPEN]
        for job in over:
            self.delete(job.owner, job.id)
            facts = {"kind": "delete", "job": job.id, "photos": len(job.photos)}
            note_event(self._base, job.owner, {**facts, "reason": EXPIRED})
        return len(over)

    def _job(self, row: Row) -> Job:
        photos = self._base.all("SELECT * FROM photos WHERE job = ? ORDER BY place", row["id"])
        order = Order(row["preset"], bool(row["preview"]), row["webhook"])
        found: tuple[Photo, ...] = tuple(photo_of(photo) for photo in photos)
        return Job(row["id"], row["owner"], order, row["created"], found)
