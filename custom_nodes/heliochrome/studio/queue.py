"""The queue, as the worker sees it: the next photograph, how far it is, what became of it.

Owners take turns, so that an album of a thousand does not keep others waiting for days.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from .database import Database
from .outbox import note_event
from .records import Failure, Made, Order, Photo
from .shelf import as_json, order_of, photo_of

# So often a photograph may take the worker down before it is left alone.
MOST_ATTEMPTS: Final = 3
# Each owner's first photograph, then each one's second; who was served longest ago goes first.
_IN_TURN: Final = """
SELECT queued.id, ROW_NUMBER() OVER (
    ORDER BY turn, COALESCE(served.last, 0), created, place
) AS position FROM (
    SELECT photos.id, photos.owner, created, place, ROW_NUMBER() OVER (
        PARTITION BY photos.owner ORDER BY created, place
    ) AS turn
    FROM photos JOIN jobs ON jobs.id = photos.job WHERE state = 'queued'
) AS queued LEFT JOIN (
    SELECT owner, MAX(began) AS last FROM photos GROUP BY owner
) AS served ON served.owner = queued.owner
"""


class Queue:
    def __init__(self, base: Database, clock: Callable[[], float] = time.time) -> None:
        self._base, self._clock = base, clock

    def positions(self) -> dict[str, int]:
        """By photograph, from 1: how many of anybody's are worked on before it, and itself."""
        return {row["id"]: row["position"] for row in self._base.all(_IN_TURN)}

    def next(self) -> tuple[Photo, Order] | None:
        """The photograph whose turn it is, now running; None where nothing waits."""
        with self._base.at_once():
            first = self._base.one(f"{_IN_TURN} ORDER BY position LIMIT 1")
            if first is None:
                return None
            self._base.change(
                "UPDATE photos SET state = 'running', attempts = attempts + 1, progress = 0, "
                "stop = 0, began = ? WHERE id = ?",
                *(self._clock(), first["id"]),
            )
            row = self._base.one(
                "SELECT photos.*, preset, preview, webhook FROM photos "
                "JOIN jobs ON jobs.id = photos.job WHERE photos.id = ?",
                first["id"],
            )
        assert row is not None
        return photo_of(row), order_of(row)

    def move(self, photo: Photo, progress: float) -> bool:
        """Note how far it is, 0 to 1. Whether its owner has asked to stop it."""
        row = self._base.one(
            "UPDATE photos SET progress = ? WHERE id = ? RETURNING stop", progress, photo.id
        )
        return row is None or bool(row["stop"])

    def done(self, photo: Photo, made: Made) -> None:
        self._end(photo, "done", "made = ?", as_json(made), made)

    def failed(self, photo: Photo, failure: Failure) -> None:
        self._end(photo, "failed", "failure = ?", as_json(failure), failure)

    def cancelled(self, photo: Photo) -> None:
        self._end(photo, "cancelled", "failure = ?", None, None)

    def put_back(self, photo: Photo) -> None:
        """Nothing was wrong with it: its turn comes again, unless its owner has stopped it."""
        self._base.change(
            "UPDATE photos SET attempts = attempts - 1 WHERE id = ? AND state = 'running'", photo.id
        )
        self._again(photo)

    def broke_off(self, photo: Photo) -> None:
        """The work on it ended what did it: its turn comes again, but not time after time."""
        if photo.attempts < MOST_ATTEMPTS:
            self._again(photo)
            return
        text = (
            f"The work on this photograph broke off {photo.attempts} times, most likely for "
            "want of memory. Close other programs, or make the photograph smaller."
        )
        self.failed(photo, Failure("crashed", text))

    def begun(self) -> list[Photo]:
        """At the worker's start: what a killed one had begun."""
        rows = self._base.all("SELECT * FROM photos WHERE state = 'running'")
        return [photo_of(row) for row in rows]

    def _again(self, photo: Photo) -> None:
        self._base.change(
            "UPDATE photos SET state = 'queued', progress = 0 "
            "WHERE id = ? AND state = 'running' AND NOT stop",
            photo.id,
        )
        self.cancelled(photo)  # if it is still running, so stopped

    def tell_engine(self, **facts: str) -> None:
        """What the page shows of whatever does the work."""
        for name, value in facts.items():
            self._base.change("INSERT OR REPLACE INTO engine VALUES (?, ?)", name, value)

    def engine(self) -> dict[str, str]:
        return {row["name"]: row["value"] for row in self._base.all("SELECT * FROM engine")}

    def _end(
        self, photo: Photo, state: str, change: str, value: str | None, end: Made | Failure | None
    ) -> None:
        facts = {
            "kind": "run",
            "photo": photo.id,
            "job": photo.job,
            "outcome": state,
            "reason": end.code if isinstance(end, Failure) else None,
            "models": [end.model] if isinstance(end, Made) and end.model else [],
        }
        with self._base.at_once():
            row = self._base.one(
                f"UPDATE photos SET state = ?, ended = ?, {change} "
                "WHERE id = ? AND state = 'running' RETURNING began",
                *(state, self._clock(), value, photo.id),
            )
            if row is None:
                return
            facts["duration_s"] = round(self._clock() - row["began"], 1)
            note_event(self._base, photo.owner, facts)
