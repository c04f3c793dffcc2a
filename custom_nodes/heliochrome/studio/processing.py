"""One photograph, from its file to the result's: nothing is lost, and what was done is told."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..core.jobs import Cancel, Progress
from ..core.notices import Notice
from ..core.photo import describe, read_photo, write_photo
from .engine import Engine
from .names import result_name
from .records import Made, Order, Photo
from .shelf import AFTER, BEFORE
from .views import write_view


def work_on(
    photo: Photo, order: Order, folder: Path, engine: Engine, progress: Progress, cancel: Cancel
) -> Made:
    """Colour `photo`, whose file is in `folder`, to another file there, with views of both.

    Raises what the engine, `read_photo` and `write_photo` raise, OSError where a view cannot be
    written, and what `cancel` raises.
    """
    began = time.monotonic()
    source = folder / photo.stored
    before = describe(source).provenance
    read = read_photo(source)
    write_view(folder / BEFORE, read.pixels)
    cancel()
    treated = engine.colorize(read.pixels, order, progress, cancel)
    cancel()
    record = treated.provenance.from_file(photo.sha256, before)
    name = result_name(photo.name, read.format, preview=record.kind == "preview")
    target = folder / f"result{Path(name).suffix}"
    losses = write_photo(target, treated.image, read, record, overwrite=True)
    write_view(folder / AFTER, treated.image)
    return Made(
        name=name,
        stored=target.name,
        bytes=target.stat().st_size,
        kind=record.kind,
        model=record.model,
        model_sha256=record.model_sha256,
        network_extent=treated.network_extent,
        seconds=round(time.monotonic() - began, 2),
        notices=(*_told(treated.notices), *_of_file((*read.notes, *losses))),
        parameters=dict(record.parameters),
    )


def _told(notices: Sequence[Notice]) -> list[dict[str, Any]]:
    return [asdict(notice) for notice in notices]


def _of_file(sentences: Sequence[str]) -> list[dict[str, Any]]:
    """What is told of a photograph's file has no codes of its own."""
    return [asdict(Notice("file", sentence)) for sentence in sentences]
