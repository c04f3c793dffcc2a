"""Jobs of an owner: made, listed, stopped, tried again, deleted."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from sqlite3 import Row
from typing import Final

from .database import Database
from .outbox import note_event
from .records import OPEN, Job, Order, Photo, State, state_of
from .refusals import Refusal, not_found
from .shelf import EXPIRED, Shelf, order_of, photo_of

_ALWAYS: Final = float("inf")
# Jobs of one answer; the page asks for more.
LISTED: Final = 100
_SUMMARY: Final = """
SELECT jobs.*, MAX(COALESCE(photos.ended, jobs.created)) AS ended, COUNT(*) AS photos,
    SUM(CASE WHEN photos.state = 'done' THEN 1.0 ELSE photos.progress END) AS progress,
    json_group_array(photos.state) AS states
FROM jobs JOIN photos ON photos.job = jobs.id
WHERE jobs.owner = ? AND jobs.created < ? GROUP BY jobs.id ORDER BY jobs.created DESC LIMIT ?
"""


@dataclass(frozen=True)
class Summary:
    """A job without its photographs. counts: of photographs by state; progress: 0 to 1 over all of
    them. over: as of `Job`."""

    id: str
    order: Order
    created: float
    over: float | None
    counts: Mapping[State, int]
    progress: float


@dataclass(frozen=True)
class Listed:
    """more: whether there are elder ones."""

    jobs: tuple[Summary, ...]
    more: bool


def summary_of(job: Job) -> Summary:
    done = sum(1.0 if photo.state == "done" else photo.progress for photo in job.photos)
    counts = Counter(photo.state for photo in job.photos)
    return Summary(job.id, job.order, job.created, job.over, counts, done / len(job.photos))


def _summary(row: Row) -> Summary:
    counts: Counter[State] = Counter(json.loads(row["states"]))
    over = None if state_of(counts) in OPEN else row["ended"]
    progress = row["progress"] / row["photos"]
    return Summary(row["id"], order_of(row), row["created"], over, counts, progress)


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

    def all(self, owner: str, before: str | None = None) -> Listed:
        """The newest first, at most LISTED; before: the id of the job whose elders are asked for.

        Raises Refusal (not_found).
        """
        until = self.find(owner, before).created if before else _ALWAYS
        rows = self._base.all(_SUMMARY, owner, until, LISTED + 1)
        return Listed(tuple(_summary(row) for row in rows[:LISTED]), len(rows) > LISTED)

    def stop(self, owner: str, job_id: str) -> Job:
        """What waits is cancelled; the worker is asked to leave what it has begun."""
        job = self.find(owner, job_id)
        with self._base.at_once():
            self._base.change(
                "UPDATE photos SET state = 'cancelled', ended = ? "
                "WHERE job = ? AND state = 'queued'",
                *(self._clock(), job.id),
            )
            self._base.change(
                "UPDATE photos SET stop = 1 WHERE job = ? AND state = 'running'", job.id
            )
        return self.find(owner, job_id)

    def retry(self, owner: str, job_id: str) -> Job:
        """Queue what failed or was cancelled once more."""
        job = self.find(owner, job_id)
        with self._base.at_once():
            again = self._base.change(
                "UPDATE photos SET state = 'queued', attempts = 0, progress = 0, stop = 0, "
                "ended = NULL, failure = NULL WHERE job = ? AND state IN ('failed', 'cancelled')",
                job.id,
            )
            if again:
                self._base.change("UPDATE jobs SET told = 0 WHERE id = ?", job.id)
        return self.find(owner, job_id)

    def delete(self, owner: str, job_id: str, reason: str | None = None) -> None:
        """With its photographs and results. reason: for the record, where nobody asked. Raises
        Refusal while it is being worked on."""
        job = self.find(owner, job_id)
        with self._base.at_once():
            if self._base.one(
                "SELECT 1 FROM photos WHERE job = ? AND state IN ('queued', 'running')", job.id
            ):
                raise Refusal("not_ready", "This job is not over. Stop it first, then delete it.")
            self._base.change("DELETE FROM photos WHERE job = ?", job.id)
            self._base.change("DELETE FROM jobs WHERE id = ?", job.id)
            if reason:
                facts = {"kind": "delete", "job": job.id, "photos": len(job.photos)}
                note_event(self._base, owner, {**facts, "reason": reason})
        for photo in job.photos:
            self._shelf.delete_files(photo.id)

    def expire(self, before: float) -> int:
        """Delete jobs that have been over since before then. How many they were."""
        rows = self._base.all("SELECT * FROM jobs WHERE created < ?", before)
        jobs = map(self._job, rows)
        old = [job for job in jobs if (over := job.over) is not None and over < before]
        for job in old:
            self.delete(job.owner, job.id, EXPIRED)
        return len(old)

    def _job(self, row: Row) -> Job:
        photos = self._base.all("SELECT * FROM photos WHERE job = ? ORDER BY place", row["id"])
        found: tuple[Photo, ...] = tuple(photo_of(photo) for photo in photos)
        return Job(row["id"], row["owner"], order_of(row), row["created"], found)
