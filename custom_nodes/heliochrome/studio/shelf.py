"""Photographs that were brought: their rows, and a folder of files for each."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from sqlite3 import Row
from typing import Final

from ..core.disk import PART, sync_folder
from ..core.extent import Extent
from ..core.photo import SUFFIXES, PhotoFormat, describe, inspect
from .database import INCOMING, OWNER_ONLY, PHOTOS, Database
from .names import ending_of, plain_name
from .outbox import note_event
from .records import Failure, Made, Order, Photo
from .refusals import Refusal, not_found
from .views import first_view

_log = logging.getLogger("heliochrome.studio")

BEFORE: Final = "before.jpg"
AFTER: Final = "after.jpg"
EXPIRED: Final = "expired"  # why something was deleted
_ID: Final = re.compile("[0-9a-f]{32}")
_RECEIVED: Final = re.compile(_ID.pattern + re.escape(PART))


@dataclass(frozen=True)
class Looked:
    """What a whole photograph's file is. extent: upright. view: a small picture of it (JPEG), None
    where none can be made without the worker."""

    format: PhotoFormat
    extent: Extent
    view: bytes | None


class Shelf:
    """max_pixels: of one photograph; max_user_bytes: of all that one owner keeps."""

    def __init__(
        self,
        base: Database,
        max_pixels: int,
        max_user_bytes: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._base, self._clock = base, clock
        self._max_pixels, self._max_user_bytes = max_pixels, max_user_bytes
        self._incoming = base.folder / INCOMING
        self._photos = base.folder / PHOTOS
        self._found = base.folder / "found"
        for folder in (self._incoming, self._photos):
            folder.mkdir(exist_ok=True, mode=OWNER_ONLY)

    def new_file(self) -> Path:
        """Where a photograph is received; `take` or `discard` it."""
        return self._incoming / f"{uuid.uuid4().hex}{PART}"

    def require_room(self, owner: str, more: int) -> None:
        """Raise Refusal if the owner would keep too much with `more` bytes."""
        if (used := self.used(owner)) + more > self._max_user_bytes:
            raise Refusal(
                "quota_exceeded",
                f"You keep {used / 1e6:.0f} MB here and may keep {self._max_user_bytes / 1e6:.0f}. "
                "Download your results and delete old jobs.",
            )

    def used(self, owner: str) -> int:
        """Bytes of the owner's photographs and results."""
        row = self._base.one(
            "SELECT COALESCE(SUM(bytes + COALESCE(json_extract(made, '$.bytes'), 0)), 0) AS used "
            "FROM photos WHERE owner = ?",
            owner,
        )
        return int(row["used"]) if row else 0

    def look(self, file: Path) -> Looked:
        """Decode all of a received file, and make a small picture of it. Raises BadImage. The only
        part that takes long."""
        extent = inspect(file, max_pixels=self._max_pixels)
        return Looked(describe(file).format, extent, first_view(file))

    def take(
        self, file: Path, looked: Looked, owner: str, name: str, size: int, sha256: str
    ) -> Photo:
        """Keep a received file as a photograph. size: bytes; sha256: hex.

        Raises OutputFailed and OSError; the file is then gone.
        """
        kind, extent = looked.format, looked.extent
        photo_id = uuid.uuid4().hex
        plain = plain_name(name)
        photo = Photo(
            id=photo_id,
            owner=owner,
            name=plain,
            stored=f"original{ending_of(plain) or SUFFIXES[kind][0]}",
            bytes=size,
            sha256=sha256,
            format=kind,
            width=extent.width,
            height=extent.height,
            uploaded=self._clock(),
        )
        folder = self.folder(photo_id)
        folder.mkdir(mode=OWNER_ONLY)
        try:
            file.rename(folder / photo.stored)
            if looked.view is not None:
                (folder / BEFORE).write_bytes(looked.view)
            sync_folder(folder)
            sync_folder(self._photos)
            self._base.change(
                f"INSERT INTO photos ({', '.join(_INSERTED)}) "
                f"VALUES ({', '.join('?' * len(_INSERTED))})",
                *(getattr(photo, field) for field in _INSERTED),
            )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return photo

    def find(self, owner: str, photo_id: str) -> Photo:
        """Raises Refusal (not_found)."""
        row = self._base.one("SELECT * FROM photos WHERE id = ? AND owner = ?", photo_id, owner)
        if row is None:
            raise not_found("photograph")
        return photo_of(row)

    def folder(self, photo_id: str) -> Path:
        return self._photos / photo_id

    def delete(self, photo: Photo, reason: str | None = None) -> None:
        """A photograph of no job, with its files. reason: for the record, where nobody asked."""
        with self._base.at_once():
            done = self._base.change("DELETE FROM photos WHERE id = ? AND job IS NULL", photo.id)
            if not done:
                raise Refusal("not_ready", "This photograph belongs to a job. Delete the job.")
            if reason:
                facts = {"kind": "delete", "file": photo.name, "reason": reason}
                note_event(self._base, photo.owner, facts)
        self.delete_files(photo.id)

    def delete_files(self, photo_id: str) -> None:
        shutil.rmtree(self.folder(photo_id), ignore_errors=True)

    def leave_only_original(self, photo: Photo, *, view: bool = True) -> None:
        """Remove what was made of a photograph before the work failed or broke off. view: the view
        of the original stays; without it a full disk has room again for saying that it was full."""
        kept = {photo.stored, BEFORE} if view else {photo.stored}
        for path in self.folder(photo.id).iterdir():
            if path.name not in kept:
                path.unlink(missing_ok=True)

    def expire(self, before: float) -> int:
        """Delete photographs of no job that were brought before then, and what has been put aside
        so long ago. How many the first were."""
        rows = self._base.all("SELECT * FROM photos WHERE job IS NULL AND uploaded < ?", before)
        for photo in map(photo_of, rows):
            self.delete(photo, EXPIRED)
        self._forget_found(before)
        return len(rows)

    def sweep(self) -> None:
        """At the start: remove what a killed server has left of files that were being received,
        and put aside photographs that the database knows nothing of, as after an older backup of it
        was restored. They are deleted when they have lain there as long as any other."""
        for path in self._incoming.iterdir():
            if _RECEIVED.fullmatch(path.name):
                path.unlink(missing_ok=True)
        known = {row["id"] for row in self._base.all("SELECT id FROM photos")}
        for folder in self._photos.iterdir():
            if folder.name not in known and _ID.fullmatch(folder.name):
                self._found.mkdir(exist_ok=True, mode=OWNER_ONLY)
                folder.rename(self._found / folder.name)
                os.utime(self._found / folder.name)
                _log.warning("%s is in no list; it was put into %s.", folder.name, self._found)

    def _forget_found(self, before: float) -> None:
        for folder in self._found.iterdir() if self._found.is_dir() else ():
            if folder.stat().st_mtime < before:
                shutil.rmtree(folder, ignore_errors=True)


_INSERTED: Final = (
    "id", "owner", "name", "stored", "bytes", "sha256", "format", "width", "height", "uploaded",
)  # fmt: skip


def photo_of(row: Row) -> Photo:
    made = json.loads(row["made"]) if row["made"] else None
    failure = json.loads(row["failure"]) if row["failure"] else None
    if made is not None:
        made["notices"] = tuple(made["notices"])
    return Photo(
        **{field: row[field] for field in _INSERTED},
        state=row["state"],
        job=row["job"],
        attempts=row["attempts"],
        progress=row["progress"],
        failure=Failure(**failure) if failure else None,
        made=Made(**made) if made else None,
        ended=row["ended"],
    )


def order_of(row: Row) -> Order:
    """Of a row with a job's columns."""
    return Order(row["preset"], bool(row["preview"]), row["webhook"])


def as_json(value: Made | Failure) -> str:
    return json.dumps(asdict(value))
