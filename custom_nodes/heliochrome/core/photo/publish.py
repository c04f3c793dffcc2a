"""Giving a finished file its name: whole or not at all, and never over a file that must stay.

What is being written is called ".<random>.heliochrome.part" in the destination's folder. It is
removed on every failure; only a killed process or a power cut can leave one, and never under
the destination's name.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from ..disk import sync_folder
from ..errors import OutputExists, OutputFailed

# What file systems without hard links answer (FAT, some network shares, Android).
_NO_LINKS: Final = {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}


def destination(path: Path, source: Path | None, *, overwrite: bool) -> Path:
    """Where `path` will be written; an existing link is followed if it may be overwritten.

    Raises OutputExists if that is the input, under whatever name, or is there already.
    """
    target = Path(os.path.realpath(path)) if overwrite else path
    try:
        mode = target.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return target
    except OSError as error:
        raise OutputFailed(
            f"{path}: the folder cannot be looked into: {error.strerror}."
        ) from error
    if source is not None and _is_same(path, source):
        raise OutputExists(
            f"{path} is the photograph being worked on, which is never overwritten. "
            "Choose another name or folder."
        )
    if not overwrite:
        raise _exists(path)
    if not stat.S_ISREG(mode):
        raise OutputExists(f"{path} is there and not a regular file. Choose another name.")
    return target


@contextmanager
def new_file(target: Path, *, overwrite: bool) -> Iterator[BinaryIO]:
    """A file open for reading and writing that becomes `target` when the block ends well.

    Raises OutputExists if `target` has appeared meanwhile and may not be overwritten, and
    OutputFailed if the disk is full or the folder cannot be written to.
    """
    part = target.parent / f".{secrets.token_hex(8)}.heliochrome.part"
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
    except FileExistsError as error:
        raise _exists(target) from error
    except OSError as error:
        raise failed(target, error.strerror or str(error)) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def failed(target: Path, reason: str) -> OutputFailed:
    """The error for a result that could not be stored."""
    return OutputFailed(
        f"{target} could not be written: {reason}. Nothing was left behind. "
        "Free some room, or choose a folder that can be written to."
    )


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


def _is_same(path: Path, source: Path) -> bool:
    try:
        return path.samefile(source)
    except OSError:
        return False


def _exists(path: Path) -> OutputExists:
    return OutputExists(f"{path} is already there. Choose another name, or allow overwriting.")
