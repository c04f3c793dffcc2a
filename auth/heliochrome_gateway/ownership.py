"""Whose a run is, and so its history, its place in the queue and its pictures.

A run's id is ours: it is written down here before the host hears of it, so that no message
about it can come first. Results lie in a folder of the user's (`owned_files`); previews do not,
as the host names them, so a preview belongs to whom the host told about it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from .base import open_base, using

# The host forgets its history when it ends; a run of so long ago is nobody's.
_KEPT_S: Final = 30 * 86_400.0
_PREVIEWS: Final = 20_000
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, user TEXT NOT NULL, address TEXT NOT NULL, digest TEXT NOT NULL,
    nodes INTEGER NOT NULL, models TEXT NOT NULL, began REAL NOT NULL, outcome TEXT
) WITHOUT ROWID
"""
_LOSS: Final = "runs until now are then nobody's"


@dataclass(frozen=True)
class Run:
    """digest: SHA-256 of the workflow. models: their names, a line each. began: seconds since
    the epoch. outcome: None while it waits or runs."""

    id: str
    user: str
    address: str
    digest: str
    nodes: int
    models: str
    began: float
    outcome: str | None = None


class Owners:
    """In SQLite, so that runs have their owner after a restart. Raises StorageFailed."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = path, clock
        self._previews: OrderedDict[str, set[str]] = OrderedDict()
        self._base = open_base(path, _TABLE, _LOSS)
        with self._working():
            self._base.execute("DELETE FROM runs WHERE began < ?", (clock() - _KEPT_S,))

    def begin(
        self, run_id: str, user: str, address: str, digest: str, nodes: int, models: Iterable[str]
    ) -> bool:
        """False where there is such a run already, whoever's it is."""
        row = (run_id, user, address, digest, nodes, "\n".join(models), self._clock())
        with self._working():
            done = self._base.execute(
                "INSERT OR IGNORE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, NULL)", row
            )
        return done.rowcount == 1

    def withdraw(self, run_id: str) -> None:
        """The host did not take it."""
        with self._working():
            self._base.execute("DELETE FROM runs WHERE id = ?", (run_id,))

    def end(self, run_id: str, outcome: str) -> bool:
        """False where its end was known already."""
        with self._working():
            done = self._base.execute(
                "UPDATE runs SET outcome = ? WHERE id = ? AND outcome IS NULL", (outcome, run_id)
            )
        return done.rowcount == 1

    def owns(self, user: str, run_id: object) -> bool:
        if not isinstance(run_id, str):
            return False
        with self._working():
            row = self._base.execute("SELECT user FROM runs WHERE id = ?", (run_id,)).fetchone()
        return row is not None and row[0] == user

    def unfinished(self) -> list[Run]:
        """The oldest first."""
        with self._working():
            rows = self._base.execute(
                "SELECT * FROM runs WHERE outcome IS NULL ORDER BY began"
            ).fetchall()
        return [Run(*row) for row in rows]

    def note_outputs(self, user: str, outputs: Any) -> None:
        """outputs: of nodes, as the host tells them: any JSON that names files somewhere."""
        if isinstance(outputs, dict):
            if outputs.get("type") == "temp" and isinstance(outputs.get("filename"), str):
                self._note_preview(user, f"{outputs.get('subfolder', '')}/{outputs['filename']}")
                return
            outputs = list(outputs.values())
        if isinstance(outputs, list):
            for item in outputs:
                self.note_outputs(user, item)

    def was_shown(self, user: str, subfolder: str, name: str) -> bool:
        """Whether the host told this user about this preview."""
        return user in self._previews.get(f"{subfolder}/{name}", ())

    def close(self) -> None:
        self._base.close()

    def _note_preview(self, user: str, name: str) -> None:
        # Two users can be told of one: the host does not run again what it has run.
        self._previews.setdefault(name, set()).add(user)
        self._previews.move_to_end(name)
        while len(self._previews) > _PREVIEWS:
            self._previews.popitem(last=False)

    def _working(self) -> AbstractContextManager[None]:
        return using(self._path, _LOSS)


OWNERS: Final = web.AppKey("owners", Owners)
