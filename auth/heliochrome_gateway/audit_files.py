"""The record's files: their order, the mark of the end, and what a power cut left behind."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .storage import OWNER_ONLY

BEGINNING: Final = "0" * 64
# The number is the seq of the file's first line.
_NAME: Final = re.compile(r"audit-(\d{12})\.jsonl")
_HEAD: Final = re.compile(rb"(\d{16}) ([0-9a-f]{64})\n")
LOCK: Final = ".lock"
HEAD: Final = "head"


@dataclass(frozen=True)
class Head:
    """The last line known to be on the disk; what follows it may be lost in a power cut."""

    seq: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.sha256}"


@dataclass(frozen=True)
class Broken:
    """Where the chain does not go on. seq: of the line that was expected. offset: in the file."""

    seq: int
    offset: int
    why: str


def file_name(first: int) -> str:
    return f"audit-{first:012d}.jsonl"


def files(folder: Path) -> list[tuple[int, Path]]:
    """The record's files in their order, each with the seq of its first line."""
    found = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir())
    return sorted((int(match[1]), path) for match, path in found if match)


def read_head(folder: Path) -> Head | None:
    """None where there is none, or what is there is no mark of ours."""
    try:
        match = _HEAD.fullmatch((folder / HEAD).read_bytes())
    except FileNotFoundError:
        return None
    return Head(int(match[1]), match[2].decode()) if match else None


def write_head(folder: Path, head: Head) -> None:
    """In place, as a disk writes so few bytes whole: a new file would cost two more fsyncs."""
    handle = os.open(folder / HEAD, os.O_WRONLY | os.O_CREAT, OWNER_ONLY)
    try:
        os.write(handle, f"{head.seq:016d} {head.sha256}\n".encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def follow(content: bytes, offset: int, last: Head) -> Iterator[Head | Broken]:
    """Each line of `content` from `offset` on, as long as it continues the chain after `last`."""
    while offset < len(content):
        end = content.find(b"\n", offset)
        text = content[offset:end] if end >= 0 else content[offset:]
        why = "is cut off" if end < 0 else _fault(text, last)
        if why:
            yield Broken(last.seq + 1, offset, why)
            return
        last = Head(last.seq + 1, hashlib.sha256(text).hexdigest())
        offset = end + 1
        yield last


def first_before(content: bytes) -> str:
    """What the first line says of the one before it; "" if it is no line of the record."""
    try:
        return str(json.loads(content.partition(b"\n")[0])["before"])
    except (ValueError, KeyError, TypeError):
        return ""


def _fault(text: bytes, last: Head) -> str:
    """Why this line cannot follow `last`; "" if it can."""
    try:
        entry = json.loads(text)
        seq, before = entry["seq"], entry["before"]
    except (ValueError, KeyError, TypeError):
        return "is not a line of the record"
    if seq != last.seq + 1:
        return f"has the number {seq}: lines were removed, added or moved"
    if before != last.sha256:
        return f"does not continue line {last.seq}: one of the two was changed"
    return ""
