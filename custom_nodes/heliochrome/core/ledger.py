"""What this machine remembers of model files: computed digests, and digests seen first."""

from __future__ import annotations

import logging
import re
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from filelock import FileLock

from .disk import hash_file, read_json, write_json
from .jobs import Cancel, Progress, never_cancel, no_progress

_log = logging.getLogger("heliochrome")

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class FirstUse:
    """The digest a file had when it came here. seen: ISO date. origin: its address or path."""

    sha256: str
    seen: str
    origin: str

    @property
    def witness(self) -> str:
        """Who knows this digest, for a message."""
        return f"this machine's record of {self.seen}"


class Ledger:
    """Two small JSON files in `folder`, replaced atomically and shared between processes.

    Works without memory (and says so in the log) where the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._digests = folder / "digests.json"
        self._first_uses = folder / "first_use.json"
        self._lock = folder / ".ledger.lock"

    def sha256(
        self, path: Path, progress: Progress = no_progress, cancel: Cancel = never_cancel
    ) -> str:
        """SHA-256 (hex) of a file; computed again only if size, time or inode changed."""
        known = self.remembered_sha256(path)
        if known:
            return known
        stamp = _stamp(path)
        digest = hash_file(path, progress, cancel)
        self.remember_sha256(path, digest, stamp)
        return digest

    def remembered_sha256(self, path: Path) -> str | None:
        """The digest if it was computed before and the file is unchanged."""
        key = str(path.resolve())
        entry = _entry(self._digests, key)
        if entry is None or entry.get("stamp") != _stamp(path):
            return None
        return str(entry["sha256"])

    def remember_sha256(self, path: Path, digest: str, stamp: list[int] | None = None) -> None:
        """Note a digest. `stamp`: what the file looked like before it was read."""
        entry = {"stamp": stamp or _stamp(path), "sha256": digest}
        self._write(self._digests, str(path.resolve()), entry)

    def first_use(self, name: str) -> FirstUse | None:
        """What is recorded of the file called `name` (<model id><suffix>)."""
        entry = _entry(self._first_uses, name)
        if entry is None:
            return None
        seen, origin = (str(entry.get(name, "?")) for name in ("seen", "origin"))
        return FirstUse(str(entry["sha256"]), seen, origin)

    def record_first_use(self, name: str, digest: str, origin: str) -> FirstUse:
        """Record a digest as the one to be enforced from now on."""
        today = datetime.now(timezone.utc).date().isoformat()
        use = FirstUse(digest, today, origin)
        self._write(self._first_uses, name, asdict(use))
        return use

    def _write(self, path: Path, key: str, entry: dict[str, Any]) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self._lock):
                write_json(path, {**read_json(path), key: entry})
        except OSError as error:
            _log.warning("Cannot write %s (%s): the digest is not remembered.", path, error)


def _entry(path: Path, key: str) -> dict[str, Any] | None:
    """What `path` holds under `key`. Without a digest it is of no use: ignored, and logged.

    Anything else may be missing or too much: another version may have written it.
    """
    entry = read_json(path).get(key)
    if isinstance(entry, dict) and _SHA256.fullmatch(str(entry.get("sha256"))):
        return entry
    if entry is not None:
        _log.warning("%s: the entry for %s is damaged and ignored.", path, key)
    return None


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ino]
