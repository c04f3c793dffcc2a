"""The studio's SQLite file, which its server and its worker share."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ..core.errors import BadSetting, OutputFailed

_log = logging.getLogger("heliochrome.studio")

OWNER_ONLY: Final = 0o700
INCOMING: Final = "incoming"
PHOTOS: Final = "photos"
_BUSY_S: Final = 10.0
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, preset TEXT NOT NULL, preview INTEGER NOT NULL,
    webhook TEXT, created REAL NOT NULL, told INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS photos (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL,
    name TEXT NOT NULL, stored TEXT NOT NULL, bytes INTEGER NOT NULL, sha256 TEXT NOT NULL,
    format TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL, uploaded REAL NOT NULL,
    state TEXT NOT NULL DEFAULT 'uploaded', job TEXT REFERENCES jobs (id), place INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0, progress REAL NOT NULL DEFAULT 0, began REAL,
    ended REAL, stop INTEGER NOT NULL DEFAULT 0, failure TEXT, made TEXT
);
CREATE INDEX IF NOT EXISTS photos_by_job ON photos (job, place);
CREATE INDEX IF NOT EXISTS photos_by_owner ON photos (owner);
CREATE INDEX IF NOT EXISTS photos_by_state ON photos (state);
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, facts TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS deliveries (
    id TEXT PRIMARY KEY, url TEXT NOT NULL, body TEXT NOT NULL, attempts INTEGER NOT NULL,
    due REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS engine (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class Database:
    """One connection of one process. Every statement is durable on its own, or within `at_once`.

    Raises OutputFailed where the disk is full or the file cannot be used, and BadSetting for a
    folder that holds what others, or a lost database, have left there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / "studio.sqlite"
        _require_own(folder, self._path)
        with self._using():
            folder.mkdir(parents=True, exist_ok=True, mode=OWNER_ONLY)
            # SQLite would let everybody read it; its own further files take this one's rights.
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
            self._base = sqlite3.connect(
                self._path, isolation_level=None, timeout=_BUSY_S, check_same_thread=False
            )
            self._base.row_factory = sqlite3.Row
            self._base.execute("PRAGMA journal_mode = WAL")
            # With an fsync for each change: what a person was told is so after a power cut, too.
            self._base.execute("PRAGMA synchronous = FULL")
            self._base.execute("PRAGMA foreign_keys = ON")
            self._base.executescript(_SCHEMA)

    def all(self, text: str, *values: object) -> list[sqlite3.Row]:
        with self._using():
            return self._base.execute(text, values).fetchall()

    def one(self, text: str, *values: object) -> sqlite3.Row | None:
        found = self.all(text, *values)
        return found[0] if found else None

    def change(self, text: str, *values: object) -> int:
        """How many rows were changed."""
        with self._using():
            return self._base.execute(text, values).rowcount

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """All changes inside, or none."""
        with self._using():
            self._base.execute("BEGIN IMMEDIATE")
        try:
            yield
            with self._using():
                self._base.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # the first error counts
                if self._base.in_transaction:
                    self._base.execute("ROLLBACK")
            raise

    def close(self) -> None:
        self._base.close()

    @contextmanager
    def _using(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            _log.error("%s: %s", self._path, error)
            raise OutputFailed(
                f"The studio's database cannot be used: {error}. Free some room on the disk, or "
                "tell whoever looks after this machine."
            ) from error


def _require_own(folder: Path, path: Path) -> None:
    """Somebody's archive may have folders of these names: nothing there is ours to sweep."""
    strange = [name for name in (INCOMING, PHOTOS) if (folder / name).exists()]
    if strange and not path.exists():
        raise BadSetting(
            f"{folder} holds {' and '.join(strange)}, but no {path.name}: either it is not a "
            "studio's folder, so name another one in HELIOCHROME_STUDIO_FOLDER, or its database is "
            "lost, so restore it from a backup or move the folder to a safe place."
        )
