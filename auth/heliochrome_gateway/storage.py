"""Files that only the gateway's own user may read, and that are whole or not there."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Final

from .errors import StorageFailed

OWNER_ONLY: Final = 0o600
_FOLDER_OWNER_ONLY: Final = 0o700
# What a file looks like from outside; a replaced file has another number.
Stamp = tuple[int, int, int]


class _Storing:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if isinstance(error, OSError):
            raise StorageFailed(
                f"{self._path} must be a place the gateway can write to, but: "
                f"{error.strerror or error}. Free some room or correct the rights, or let "
                "HELIOCHROME_GATEWAY_FOLDER name another folder."
            ) from error


def storing(path: Path) -> AbstractContextManager[None]:
    """Turn what the system says about `path` into one StorageFailed that says what to do."""
    return _Storing(path)  # not a generator: it is at every request


def private_folder(folder: Path) -> None:
    """Make `folder` if it is not there. Raises StorageFailed."""
    with storing(folder):
        folder.mkdir(mode=_FOLDER_OWNER_ONLY, parents=True, exist_ok=True)


def replace_private(path: Path, content: bytes) -> None:
    """Let `path` hold `content`, with mode 0600, on the disk when this returns.

    Raises StorageFailed; then the old file is as it was.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    with storing(path):
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(part, flags, OWNER_ONLY), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            with suppress(FileNotFoundError):
                part.unlink()
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk: without it a power cut may take back a rename."""
    if os.name == "nt":  # there a folder cannot be opened, and renames are journalled
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def stamp(path: Path) -> Stamp | None:
    """Changes whenever the file does; None where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def refuse_writable_by_others(path: Path) -> None:
    """Raise StorageFailed if somebody else could change `path`, and so make himself admin."""
    if os.name != "nt" and path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise StorageFailed(
            f"{path} can be changed by other users of this machine. Run `chmod 600 {path}`, and "
            "see that its content is still what you wrote."
        )
