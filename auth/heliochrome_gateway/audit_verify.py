"""Proving that the record is whole: every line continues the one before, up to the mark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock

from . import audit_files
from .audit_files import BEGINNING, Broken, Head
from .errors import StorageFailed
from .storage import storing

_LOCK_S: Final = 10.0


@dataclass(frozen=True)
class Finding:
    """Where the record is not what was written. line: in `file`, from 1; 0: the file itself."""

    file: str
    line: int
    why: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.why}" if self.line else self.why


@dataclass(frozen=True)
class Verdict:
    """end: the last good line. tampering: what nobody but a hand can have done; None: nothing.

    damage: a cut-off end, as a power cut or a kill leaves it; the next start repairs that.
    """

    end: Head
    tampering: Finding | None = None
    damage: Finding | None = None


def verify(folder: Path, first: int = 1, holds: Head | None = None) -> Verdict:
    """Check the whole record. Raises StorageFailed if it cannot be read.

    first: the number of the oldest line that is to be there, where older files were archived.
    holds: an end noted earlier; it finds also a record that was rewritten from start to end.
    Not to be told from a power cut: changes to lines younger than the mark of the end, so what
    was written in the last second before a process was killed, until the next one starts.
    """
    with storing(folder):
        head, parts = _snapshot(folder)
    try:
        return _follow_all(head, parts, first, holds)
    except _Tampered as found:
        return Verdict(found.end, tampering=found.finding)


@dataclass(frozen=True)
class _Part:
    first: int
    name: str
    content: bytes


class _Tampered(Exception):
    def __init__(self, end: Head, finding: Finding) -> None:
        super().__init__(str(finding))
        self.end, self.finding = end, finding


def _snapshot(folder: Path) -> tuple[Head | None, list[_Part]]:
    """One moment of a record that may be written meanwhile."""
    if not folder.is_dir():
        raise StorageFailed(f"There is no record in {folder}: it is not a folder.")
    with _unchanging(folder):
        head = audit_files.read_head(folder)
        sizes = [(seq, path, path.stat().st_size) for seq, path in audit_files.files(folder)]
    return head, [_Part(seq, path.name, path.read_bytes()[:size]) for seq, path, size in sizes]


@contextmanager
def _unchanging(folder: Path) -> Iterator[None]:
    """Hold the lock, except where it cannot be had because nothing can be written there."""
    lock = FileLock(folder / audit_files.LOCK, timeout=_LOCK_S)
    try:
        lock.acquire()
    except TimeoutError:
        raise
    except OSError:
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _follow_all(head: Head | None, parts: list[_Part], first: int, holds: Head | None) -> Verdict:
    end = Head(first - 1, BEGINNING)
    if head is None or not parts:
        raise _Tampered(end, Finding("", 0, "The record, or the mark of its end, was removed."))
    known = {mark.seq: mark.sha256 for mark in (head, holds) if mark is not None}
    damage = None
    for part in parts:
        if part.first != end.seq + 1:
            why = f"begins with line {part.first}, expected {end.seq + 1}: a file was removed."
            raise _Tampered(end, Finding(part.name, 0, f"{part.name} {why}"))
        if part is parts[0] and first > 1:
            end = Head(end.seq, audit_files.first_before(part.content))
        number = 0
        for number, step in enumerate(audit_files.follow(part.content, 0, end), 1):
            if isinstance(step, Broken):
                finding = Finding(part.name, number, step.why)
                if step.seq <= head.seq or part is not parts[-1]:
                    raise _Tampered(end, finding)
                damage = finding
                break
            if known.get(step.seq, step.sha256) != step.sha256:
                raise _Tampered(end, Finding(part.name, number, "was changed"))
            end = step
    if missing := [seq for seq in known if seq > end.seq]:
        why = f"lines {end.seq + 1} to {max(missing)} were removed after it."
        raise _Tampered(end, Finding(parts[-1].name, number, why))
    return Verdict(end, damage=damage)
