"""Room on the disk, and files that are either whole or not there."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from .errors import DownloadFailed

_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_WHERE_TO: Final = (
    "Free some room, or let HELIOCHROME_MODELS or HELIOCHROME_CACHE name a folder on another disk."
)


class CannotWrite(DownloadFailed):
    """The disk does not take the file; another source would not help."""


def require_room(folder: Path, size: int) -> None:
    """Raise `CannotWrite` if `size` more bytes do not fit into the folder's disk."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise CannotWrite(
            f"{folder} needs {human_bytes(size)} but has only {human_bytes(free)} free. {_WHERE_TO}"
        )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system says about writing `path` into one clear `CannotWrite`."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise CannotWrite(f"There is no room left to write {path}. {_WHERE_TO}") from error
        raise CannotWrite(f"Cannot write {path}: {error.strerror}.") from error


def replace_durably(temporary: Path, target: Path) -> None:
    """Give a finished file its name, so that a power cut leaves the old or the new one."""
    with temporary.open("rb+") as file:  # Windows flushes only files opened for writing
        os.fsync(file.fileno())
    temporary.replace(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make a new name survive a power cut. Windows cannot open folders: there the rename
    itself is all that can be had."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def is_writable(folder: Path) -> bool:
    """Whether a file can be made here; makes the folder if it is missing.

    Tried out, because permission bits say nothing on read-only mounts or for root.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of ours; empty if it is missing or damaged."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Replace a JSON file atomically. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(data, file, indent=1)
        replace_durably(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def human_bytes(size: int) -> str:
    """912 MB: decimal units as disks and download pages show them."""
    value, units = float(size), ["bytes", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    digits = 1 if value < 10 and units[0] != "bytes" else 0
    return f"{value:.{digits}f} {units[0]}"
