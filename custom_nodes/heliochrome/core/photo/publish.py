"""Where a finished photograph may go: never over its original, or over a file that must stay."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..disk import is_same_file, whole_file
from ..errors import OutputExists, OutputFailed


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
    if source is not None and is_same_file(path, source):
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
    """`disk.whole_file` with the errors of photographs.

    Raises OutputExists if `target` has appeared meanwhile and may not be overwritten, and
    OutputFailed if the disk is full or the folder cannot be written to.
    """
    try:
        with whole_file(target, overwrite=overwrite) as file:
            yield file
    except FileExistsError as error:
        raise _exists(target) from error
    except OSError as error:
        raise failed(target, error.strerror or str(error)) from error


def failed(target: Path, reason: str) -> OutputFailed:
    """The error for a result that could not be stored."""
    return OutputFailed(
        f"{target} could not be written: {reason}. Nothing was left behind. "
        "Free some room, or choose a folder that can be written to."
    )


def _exists(path: Path) -> OutputExists:
    return OutputExists(f"{path} is already there. Choose another name, or allow overwriting.")
