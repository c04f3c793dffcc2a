"""Writing the record: who did what, one JSON line an event, each holding the hash of the last."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Final

from filelock import FileLock

from . import audit_files
from .audit_events import KINDS, Fact, line
from .audit_files import BEGINNING, Broken, Head
from .errors import StorageFailed
from .storage import OWNER_ONLY, private_folder, storing, sync_folder

_log = logging.getLogger("heliochrome.gateway")

_LOCK_S: Final = 10.0
# What a power cut may take of the events that nobody waits for.
_SYNC_S: Final = 1.0


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class AuditLog:
    """One writer of the record in `folder`; other processes and threads may write it, too.

    Security events (`Kind.durable`) are on the disk when `append` returns, all others within a
    second. Raises StorageFailed where an event cannot be written, and where lines that were on
    the disk are gone: then nothing is to go on unrecorded.
    """

    def __init__(self, folder: Path, file_bytes: int, now: Callable[[], str] = _now) -> None:
        self._folder = folder
        self._file_bytes = file_bytes
        self._now = now
        self._guard = threading.Lock()
        private_folder(folder)
        self._lock = FileLock(folder / audit_files.LOCK, timeout=_LOCK_S, thread_local=False)
        self._handle: int | None = None
        self._path = folder
        self._size = 0
        self._last = Head(0, BEGINNING)
        self._synced = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="audit")
        self._timer: asyncio.TimerHandle | None = None
        with self._writing():
            self._catch_up()

    async def write(self, kind: str, *, user: str = "", address: str = "", **facts: Fact) -> None:
        """`append` for the event loop: it waits for the disk without holding up others."""
        loop = asyncio.get_running_loop()
        work = partial(self.append, kind, user=user, address=address, **facts)
        # Who asked may go away; what happened is still to be recorded.
        await asyncio.shield(loop.run_in_executor(self._thread, work))
        if self._timer is None and not KINDS[kind].durable:
            self._timer = loop.call_later(_SYNC_S, self._sync_later)

    def append(self, kind: str, *, user: str = "", address: str = "", **facts: Fact) -> None:
        """Record one event. user: as in the users file, or "". Facts that are None are left out.

        Raises ValueError for a fact that KINDS does not give this kind.
        """
        with self._writing():
            self._catch_up()
            text = line(
                self._last.seq + 1, self._now(), kind, user, address, facts, self._last.sha256
            )
            self._put(text)
            if KINDS[kind].durable:
                self._sync()

    def sync(self) -> None:
        """Bring all lines to the disk, and mark the last one as being there."""
        with self._writing():
            self._catch_up()
            self._sync()

    def close(self) -> None:
        """Let what was begun end, and sync. Raises StorageFailed."""
        if self._timer is not None:
            self._timer.cancel()
        self._thread.shutdown()
        try:
            self.sync()
        finally:
            self._leave_file()

    def _sync_later(self) -> None:
        self._timer = None
        with suppress(RuntimeError):  # closed meanwhile, which has synced
            future = self._thread.submit(self.sync)
            future.add_done_callback(_log_failure)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Alone in this process and among processes; what the system says is StorageFailed."""
        with self._guard, storing(self._folder), self._lock:
            yield

    def _catch_up(self) -> None:
        """Be at the record's end, also if another process has moved it."""
        found = audit_files.files(self._folder)
        if not found:
            self._begin_record()
            return
        first, path = found[-1]
        if self._handle is not None and path == self._path:
            status, open_status = path.stat(), os.fstat(self._handle)
            if (status.st_ino, status.st_size) == (open_status.st_ino, self._size):
                return
        self._continue_file(path, first)

    def _begin_record(self) -> None:
        if self._last.seq or audit_files.read_head(self._folder) not in (None, Head(0, BEGINNING)):
            raise self._gone()
        audit_files.write_head(self._folder, Head(0, BEGINNING))
        self._begin_file()

    def _begin_file(self) -> None:
        self._leave_file()
        self._path = self._folder / audit_files.file_name(self._last.seq + 1)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._handle, self._size = os.open(self._path, flags, OWNER_ONLY), 0
        sync_folder(self._folder)

    def _continue_file(self, path: Path, first: int) -> None:
        """Check what follows the mark of the end, and cut off what a power cut has damaged."""
        head = audit_files.read_head(self._folder)
        content = path.read_bytes()
        offset = 0 if head is None else _end_of_line(content, head.seq - first)
        if head is None or offset is None or not _ends_with(content[:offset], head, first):
            raise self._gone()
        last, damage = head, None
        for step in audit_files.follow(content, offset, head):
            if isinstance(step, Broken):
                damage = content[step.offset :]
            else:
                last = step
        self._leave_file()
        self._handle, self._path = os.open(path, os.O_RDWR | os.O_APPEND), path
        self._last, self._synced = last, head.seq
        self._size = len(content) - len(damage or b"")
        if damage is not None:
            os.ftruncate(self._handle, self._size)
            dropped = hashlib.sha256(damage).hexdigest()
            _log.warning("%s: %d damaged bytes at the end were cut off.", path, len(damage))
            facts: dict[str, Fact] = {"dropped_bytes": len(damage), "dropped_sha256": dropped}
            self._put(line(last.seq + 1, self._now(), "repair", "", "", facts, last.sha256))
            self._sync()

    def _put(self, text: bytes) -> None:
        if self._size >= self._file_bytes:
            self._sync()
            self._begin_file()
        assert self._handle is not None
        try:
            written = os.write(self._handle, text + b"\n")
            if written <= len(text):
                raise OSError("the disk took only a part of a line")
        except OSError:
            os.ftruncate(self._handle, self._size)
            raise
        self._size += written
        self._last = Head(self._last.seq + 1, hashlib.sha256(text).hexdigest())

    def _sync(self) -> None:
        if self._handle is None or self._synced == self._last.seq:
            return
        os.fsync(self._handle)
        audit_files.write_head(self._folder, self._last)
        self._synced = self._last.seq

    def _leave_file(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _gone(self) -> StorageFailed:
        return StorageFailed(
            f"The record in {self._folder} does not end with the lines that were written to it. "
            "See `heliochrome-gateway audit verify`. To begin a new record, move the folder to "
            "a safe place."
        )


def _end_of_line(content: bytes, index: int) -> int | None:
    """The offset after line `index`, counted from 0; -1: before the first. None: no such line."""
    offset = 0
    for _ in range(index + 1):
        offset = content.find(b"\n", offset) + 1
        if offset == 0:
            return None
    return offset if index >= -1 else None


def _ends_with(content: bytes, head: Head, first: int) -> bool:
    """Whether the last of these whole lines is the one that `head` marks."""
    if head.seq < first:  # it is in the file before; this one is new
        return not content
    text = content[:-1].rpartition(b"\n")[2]
    return hashlib.sha256(text).hexdigest() == head.sha256


def _log_failure(future: Future[None]) -> None:
    if error := future.exception():
        _log.error("%s", error)
