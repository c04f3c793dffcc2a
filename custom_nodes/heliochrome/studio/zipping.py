"""Many results as one ZIP that is made while it goes out: nothing is kept, whatever its size."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PIECE: Final = 1 << 20


@dataclass(frozen=True)
class Entry:
    """name: in the ZIP, each only once. content: a file, or bytes."""

    name: str
    content: Path | bytes


class _Outgoing(io.RawIOBase):
    """Takes what is written, for whoever drains it."""

    def __init__(self) -> None:
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self._held += memoryview(data)  # type: ignore[arg-type]
        return memoryview(data).nbytes  # type: ignore[arg-type]

    def drain(self) -> bytes:
        held = bytes(self._held)
        self._held.clear()
        return held


def zipped(entries: Sequence[Entry]) -> Iterator[bytes]:
    """The ZIP's bytes, stored and not packed: photographs do not get smaller. Raises OSError where
    a file is gone."""
    out, now = _Outgoing(), time.localtime()[:6]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for entry in entries:
            info = zipfile.ZipInfo(entry.name, now)
            # The size of what follows is told after it, so there must be room for a large one.
            with archive.open(info, "w", force_zip64=True) as target:
                for piece in _pieces(entry.content):
                    target.write(piece)
                    yield out.drain()
    yield out.drain()


def _pieces(content: Path | bytes) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
