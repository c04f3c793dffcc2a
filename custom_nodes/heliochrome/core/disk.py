"""Room on the disk, and files that are either whole or not there."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

from .errors import DownloadFailed
from .jobs import Cancel, Progress, never_cancel, no_progress

_log = logging.getLogger("heliochrome")

_BLOCK_BYTES: Final = 1 << 20
PART: Final = ".heliochrome-part"
# What file systems without hard links answer (FAT, some network shares, Android).
_NO_LINKS: Final = {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})  # what a full disk answers
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
def writing(path: Path, room: str = _WHERE_TO) -> Iterator[None]:
    """Turn what the system says about writing `path` into one clear `CannotWrite`.

    room: what to do about a full disk.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise CannotWrite(f"There is no room left to write {path}. {room}") from error
        raise CannotWrite(f"Cannot write {path}: {error.strerror or error}.") from error


@contextmanager
def whole_file(target: Path, *, overwrite: bool, owner: str = "") -> Iterator[BinaryIO]:
    """A file open for reading and writing that becomes `target` when the block ends well.

    Until then it lies in the target's folder, which must exist, under a hidden name that ends
    in the target's suffix (`file.name` is its path). Every failure removes it; only a killed
    process or a power cut can leave it, for `sweep_parts` to find by `owner`.

    Raises OSError; FileExistsError if `target` is there, or has appeared meanwhile, and may
    not be overwritten. One weakness, where the file system has no hard links and not
    `overwrite`: killed between two system calls, the process leaves `target` empty.
    """
    prefix = f".{owner}." if owner else "."
    part = target.parent / f"{prefix}{secrets.token_hex(8)}{PART}{target.suffix}"
    try:
        # Not mkstemp, whose files only the owner may read: this one is to be an ordinary file.
        with part.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            part.replace(target)
        else:
            _name_new(part, target)
        sync_folder(target.parent)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def whole_folder(target: Path, *, owner: str) -> Iterator[Path]:
    """A folder that becomes `target`, which must not be there, when the block ends well.

    Otherwise as `whole_file`. Raises OSError; FileExistsError if `target` is there.
    """
    part = target.parent / f".{owner}.{secrets.token_hex(8)}{PART}"
    try:
        part.mkdir()
        yield part
        publish_folder(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def publish_folder(folder: Path, target: Path) -> Path:
    """Give a finished folder its name `target`; a power cut leaves it whole under either name.

    Raises OSError; FileExistsError if `target` is there.
    """
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
        else:
            sync_folder(path)
    sync_folder(folder)
    if os.path.lexists(target):  # POSIX would replace an empty folder
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    folder.rename(target)
    sync_folder(target.parent)
    return target


def sweep_parts(folder: Path, owner: str) -> None:
    """Remove what killed processes have left of the owner's files and folders. None may be
    being written."""
    for path in folder.glob(f".{owner}.*{PART}*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _name_new(part: Path, target: Path) -> None:
    """Name `part` so that of two writers only one succeeds. Raises FileExistsError."""
    if os.name == "nt":
        part.rename(target)  # on Windows this refuses an existing target
        return
    try:
        target.hardlink_to(part)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _reserve_and_replace(part, target)


def _reserve_and_replace(part: Path, target: Path) -> None:
    """Without hard links: take the name with an empty file, then replace that file."""
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    try:
        part.replace(target)
    except OSError:
        target.unlink(missing_ok=True)
        raise


def read_blocks(
    path: Path, progress: Progress = no_progress, cancel: Cancel = never_cancel
) -> Iterator[bytes]:
    """A file's bytes from start to end; `progress` counts those that have been dealt with."""
    done, total = 0, path.stat().st_size
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            cancel()
            yield block
            done += len(block)
            progress(done, total)


def hash_file(path: Path, progress: Progress = no_progress, cancel: Cancel = never_cancel) -> str:
    """SHA-256 (hex) of a file, always computed; `progress` counts bytes."""
    digest = hashlib.sha256()
    for block in read_blocks(path, progress, cancel):
        digest.update(block)
    return digest.hexdigest()


def replace_durably(temporary: Path, target: Path) -> None:
    """Name a file that was written in many runs; a power cut leaves the old or the new one."""
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
    """A JSON object from a file of ours; empty if it is missing, or damaged (then logged)."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        _log.warning("%s is ignored, because it cannot be read: %s", path, error)
        return {}
    if not isinstance(data, dict):
        _log.warning("%s is ignored, because it does not hold a JSON object.", path)
        return {}
    return data


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Replace a JSON file atomically. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, overwrite=True) as file:
        file.write(json.dumps(data, indent=1).encode())


def human_bytes(size: int) -> str:
    """1.5 GB, 912 MB, 12 bytes: decimal units, as disks and download pages show them."""
    value, units = float(size), ["bytes", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    digits = 1 if value < 100 and units[0] != "bytes" else 0
    return f"{value:.{digits}f} {units[0]}"


def is_same_file(path: Path, other: Path) -> bool:
    """Whether both names lead to one file, through links too; neither has to exist."""
    try:
        return path.samefile(other)
    except OSError:
        return os.path.realpath(path) == os.path.realpath(other)
