"""What others are to be told: the gateway, how work ended; webhooks, that a job is over.

Both are kept until they have been taken, so that neither a restart nor a broken network loses one.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .database import Database

# Seconds until a delivery that was not taken is tried again; then it is given up.
AGAIN_S: Final = (5.0, 30.0, 120.0, 600.0, 3600.0, 6 * 3600.0)
_AT_ONCE: Final = 200
_OVER: Final = """
SELECT id, owner, webhook FROM jobs WHERE webhook IS NOT NULL AND told = 0 AND NOT EXISTS (
    SELECT 1 FROM photos WHERE photos.job = jobs.id AND photos.state IN ('queued', 'running'))
"""


@dataclass(frozen=True)
class Delivery:
    id: str
    url: str
    body: str
    attempts: int


@dataclass(frozen=True)
class Over:
    """A job that is over and whose webhook has not been told."""

    job: str
    owner: str
    webhook: str


def note_event(base: Database, owner: str, facts: Mapping[str, Any]) -> None:
    """Keep for the gateway's record what nobody's request brings it. facts: with a kind."""
    base.change("INSERT INTO events (owner, facts) VALUES (?, ?)", owner, json.dumps(facts))


class Outbox:
    def __init__(self, base: Database, clock: Callable[[], float] = time.time) -> None:
        self._base, self._clock = base, clock

    def events(self) -> list[dict[str, Any]]:
        """How photographs ended and what has expired, the oldest first, until `forget_events`."""
        rows = self._base.all("SELECT * FROM events ORDER BY number LIMIT ?", _AT_ONCE)
        return [
            {"number": row["number"], "user": row["owner"], "facts": json.loads(row["facts"])}
            for row in rows
        ]

    def forget_events(self, upto: int) -> None:
        self._base.change("DELETE FROM events WHERE number <= ?", upto)

    def over(self) -> Sequence[Over]:
        return [Over(row["id"], row["owner"], row["webhook"]) for row in self._base.all(_OVER)]

    def post(self, over: Over, body: str) -> None:
        """A delivery for a job that is over, once."""
        with self._base.at_once():
            if self._base.change("UPDATE jobs SET told = 1 WHERE id = ? AND told = 0", over.job):
                self._base.change(
                    "INSERT INTO deliveries VALUES (?, ?, ?, 0, ?)",
                    *(f"msg_{uuid.uuid4().hex}", over.webhook, body, self._clock()),
                )

    def due(self) -> Sequence[Delivery]:
        rows = self._base.all(
            "SELECT * FROM deliveries WHERE due <= ? ORDER BY due LIMIT ?", self._clock(), _AT_ONCE
        )
        return [Delivery(row["id"], row["url"], row["body"], row["attempts"]) for row in rows]

    def taken(self, delivery: Delivery) -> None:
        self._base.change("DELETE FROM deliveries WHERE id = ?", delivery.id)

    def not_taken(self, delivery: Delivery) -> bool:
        """Whether it will be tried again."""
        if delivery.attempts >= len(AGAIN_S):
            self.taken(delivery)
            return False
        self._base.change(
            "UPDATE deliveries SET attempts = attempts + 1, due = ? WHERE id = ?",
            *(self._clock() + AGAIN_S[delivery.attempts], delivery.id),
        )
        return True
