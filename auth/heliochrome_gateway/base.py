"""SQLite files that only the gateway's own user may read, and that several processes may share."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import StorageFailed
from .storage import OWNER_ONLY, private_folder, storing


def open_base(path: Path, table: str, loss: str) -> sqlite3.Connection:
    """Open or make `path` with `table`, a CREATE TABLE IF NOT EXISTS. Raises StorageFailed.

    loss: see `using`. A change is its own transaction. Without an fsync each: after a power cut
    the last ones may be missing.
    """
    private_folder(path.parent)
    with storing(path):
        # SQLite would let everybody read it; its own further files take this one's rights.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, OWNER_ONLY))
    with using(path, loss):
        base = sqlite3.connect(path, isolation_level=None, timeout=5)
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = NORMAL")
        base.execute(table)
    return base


@contextmanager
def using(path: Path, loss: str) -> Iterator[None]:
    """Turn what SQLite says about `path` into StorageFailed.

    loss: what it means to remove a damaged file, such as "everybody then signs in again".
    """
    try:
        yield
    except sqlite3.Error as error:
        raise StorageFailed(
            f"{path} cannot be used: {error}. Free some room; if it is damaged, remove it: {loss}."
        ) from error
