"""Who is signed in: random ids, of which only SHA-256 is kept; sessions outlive a restart."""

from __future__ import annotations

import hashlib
import logging
import secrets
import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .base import open_base, using
from .users import User

_log = logging.getLogger("heliochrome.gateway")

_ID_BYTES: Final = 32
# Of one user; a further one ends the one unused for longest.
_MOST: Final = 20
# "Last used" is written when it is off by so much of the idle lifetime, not at every request.
_STALE_SHARE: Final = 1 / 20
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS sessions (
    digest TEXT PRIMARY KEY, name TEXT NOT NULL, generation TEXT NOT NULL,
    began REAL NOT NULL, used REAL NOT NULL
) WITHOUT ROWID
"""
_LOSS: Final = "everybody then signs in again"


@dataclass(frozen=True)
class Session:
    """generation: of the user's password at sign-in. began, used: seconds since the epoch."""

    name: str
    generation: str
    began: float
    used: float


class Sessions:
    """In SQLite, which several processes may share. All methods: from one thread; StorageFailed."""

    def __init__(
        self, path: Path, idle_s: float, max_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._idle_s, self._max_s, self._clock = idle_s, max_s, clock
        self._path = path
        # After a power cut a user may have to sign in again, or the session of one who signed out
        # just then is back.
        self._base = open_base(path, _TABLE, _LOSS)

    def begin(self, user: User) -> str:
        """A new session's id, which is not kept: it is only in the browser's cookie."""
        session_id, now = secrets.token_urlsafe(_ID_BYTES), self._clock()
        with self._working():
            self._base.execute(
                "DELETE FROM sessions WHERE began <= ? OR used <= ?",
                (now - self._max_s, now - self._idle_s),
            )
            self._base.execute(
                "DELETE FROM sessions WHERE name = ? AND digest NOT IN "
                "(SELECT digest FROM sessions WHERE name = ? ORDER BY used DESC LIMIT ?)",
                (user.name, user.name, _MOST - 1),
            )
            self._base.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, ?)",
                (_digest(session_id), user.name, user.generation, now, now),
            )
        return session_id

    def find(self, session_id: str, *, use: bool = True) -> Session | None:
        """The session, if it has not ended. use: count this as a use of it."""
        digest, now = _digest(session_id), self._clock()
        with self._working(), closing(self._base.cursor()) as cursor:
            row = cursor.execute(
                "SELECT name, generation, began, used FROM sessions WHERE digest = ?", (digest,)
            ).fetchone()
        if row is None:
            return None
        session = Session(*row)
        if now >= session.began + self._max_s or now >= session.used + self._idle_s:
            return None
        if use and now - session.used > self._idle_s * _STALE_SHARE:
            self._note_use(digest, now)
        return session

    def end(self, session_id: str) -> None:
        with self._working():
            self._base.execute("DELETE FROM sessions WHERE digest = ?", (_digest(session_id),))

    def close(self) -> None:
        self._base.close()

    def _note_use(self, digest: str, now: float) -> None:
        """A full disk is no reason to turn away who is signed in."""
        try:
            self._base.execute("UPDATE sessions SET used = ? WHERE digest = ?", (now, digest))
        except sqlite3.OperationalError as error:
            _log.warning("%s: the use of a session is not noted (%s).", self._path, error)

    def _working(self) -> AbstractContextManager[None]:
        return using(self._path, _LOSS)


def _digest(session_id: str) -> str:
    return hashlib.sha256(session_id.encode(errors="surrogateescape")).hexdigest()
