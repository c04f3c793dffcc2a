"""Uploads: a form with one picture, that is one, into the user's own folder.

Nothing reaches the host before the whole picture has been decoded: a file is not a picture
because its name or its first bytes say so.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import aiohttp
from aiohttp import BodyPartReader, web

from . import owned_files
from .bodies import moving
from .identity import Identity
from .ownership import Owners
from .pictures import Pictures, Seen
from .refusals import Denied
from .targets import is_plain_name

_FIELDS: Final = frozenset({"type", "subfolder", "overwrite", "original_ref"})
_LONGEST_FIELD: Final = 4096
_LONGEST_STEM: Final = 100
_PIECE: Final = 256 * 1024
_WRITTEN: Final = 1024 * 1024
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# A form around one picture.
_AROUND: Final = 64 * 1024


@dataclass(frozen=True)
class Upload:
    """A checked upload; sha256 and size (bytes) are the file's. form: for the host."""

    name: str
    subfolder: str
    sha256: str
    size: int
    seen: Seen
    form: aiohttp.FormData


class Uploads:
    """most_bytes: of a picture. folder: on whose disk they lie while they are looked at. At most
    as many are received as the users' slots allow."""

    def __init__(self, most_bytes: int, folder: Path, pictures: Pictures, owners: Owners) -> None:
        self._most, self._folder = most_bytes, folder
        self._pictures, self._owners = pictures, owners

    def new_file(self) -> IO[bytes]:
        """For one upload; gone when closed. A temporary folder may be small, or in memory.
        Unbuffered: what a full disk refuses would else be written again when it is closed.
        Raises Denied."""
        with _room():
            return tempfile.TemporaryFile(prefix=".upload-", dir=self._folder, buffering=0)

    async def receive(
        self, request: web.Request, identity: Identity, file: IO[bytes], *, mask: bool
    ) -> Upload:
        """Read the form, with the picture into `file`, and check all of it. Raises Denied."""
        if request.content_type != "multipart/form-data":
            raise _wrong("it must be a form (multipart/form-data) with a picture as `image`")
        if (request.content_length or 0) > self._most + _AROUND:
            raise _too_large(self._most)
        try:
            with _room():
                fields, name, size, digest = await self._read(request, file)
        except (ValueError, AssertionError, UnicodeDecodeError, aiohttp.ClientError) as error:
            raise _wrong("the form is damaged") from error
        if name is None:
            raise _wrong("the picture must be in the field `image`, with a file name")
        if fields.get("type", "input") != "input":
            raise _wrong("`type` must be `input`")
        subfolder = owned_files.below(identity, fields.get("subfolder", "").strip("/"))
        seen = await self._pictures.look(file)
        form = aiohttp.FormData(quote_fields=False)  # browsers send names as they are, too
        for field, value in (("type", "input"), ("subfolder", subfolder)):
            form.add_field(field, value)
        if fields.get("overwrite") in ("1", "true"):
            form.add_field("overwrite", "true")
        if mask:
            form.add_field("original_ref", self._original(identity, fields.get("original_ref")))
        name = _file_name(name, seen)
        form.add_field("image", file, filename=name, content_type=f"image/{seen.format.lower()}")
        return Upload(name, subfolder, digest, size, seen, form)

    async def _read(
        self, request: web.Request, file: IO[bytes]
    ) -> tuple[dict[str, str], str | None, int, str]:
        fields: dict[str, str] = {}
        name, size, digest = None, 0, ""
        form = await request.multipart()
        while True:
            with moving(request):
                part = await form.next()
            if part is None:
                break
            if not isinstance(part, BodyPartReader) or "Content-Encoding" in part.headers:
                raise _wrong("a form within the form, or a packed one")
            if part.name == "image" and part.filename and name is None:
                name = part.filename
                size, digest = await self._read_file(request, part, file)
            elif part.name in _FIELDS and part.name not in fields and part.filename is None:
                fields[part.name] = await _read_field(request, part)
            else:
                raise _wrong(f"there is a second or an unknown field, {str(part.name)[:40]!r}")
        return fields, name, size, digest

    async def _read_file(
        self, request: web.Request, part: BodyPartReader, file: IO[bytes]
    ) -> tuple[int, str]:
        """Its size and its SHA-256."""
        size, digest, held = 0, hashlib.sha256(), bytearray()

        def keep(content: bytes) -> None:
            digest.update(content)
            left = memoryview(content)
            while left:
                left = left[file.write(left) :]

        while True:
            with moving(request):
                piece = await part.read_chunk(_PIECE)
            size += len(piece)
            if size > self._most:
                raise _too_large(self._most)
            held += piece
            if len(held) >= _WRITTEN or not piece:
                await asyncio.to_thread(keep, bytes(held))
                held.clear()
            if not piece:
                return size, digest.hexdigest()

    def _original(self, identity: Identity, given: str | None) -> str:
        """Whose picture the mask is for: only one of the user's."""
        try:
            found: Any = json.loads(given or "")
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or not isinstance(found.get("filename"), str):
            raise _wrong("`original_ref` must name the picture that the mask is for")
        file = owned_files.find(
            identity,
            self._owners,
            found["filename"],
            str(found.get("subfolder", "")),
            str(found.get("type", "output")),
        )
        return json.dumps({"filename": file.name, "subfolder": file.subfolder, "type": file.place})


async def _read_field(request: web.Request, part: BodyPartReader) -> str:
    content = b""
    while True:
        with moving(request):
            piece = await part.read_chunk(_LONGEST_FIELD)
        if not piece:
            return content.decode("utf-8")
        content += piece
        if len(content) > _LONGEST_FIELD:
            raise _wrong(f"a field is longer than {_LONGEST_FIELD} bytes")


def _file_name(given: str, seen: Seen) -> str:
    """A name of the user's choice, made harmless, with the ending that the content has."""
    name = re.split(r"[/\\]", given)[-1]
    stem, dot, ending = name.rpartition(".")
    if not dot or f".{ending.lower()}" not in seen.endings:
        stem, ending = name, seen.endings[0].removeprefix(".")
    stem = re.sub(r"[^\w()+,=@ -]", "_", stem)[:_LONGEST_STEM].strip(" ._") or "photo"
    name = f"{stem}.{ending}"
    return name if is_plain_name(name) else f"photo.{ending}"


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise Denied(
            507,
            "room",
            "There is no room left on the gateway's disk for this picture. Tell whoever looks "
            "after this machine.",
            "网关的磁盘空间不足，无法接收这张图片。请联系管理员。",
        ) from error


def _too_large(most: int) -> Denied:
    return Denied(
        413,
        "size",
        f"The picture is larger than the {most / 1e6:g} MB that are taken. Send a smaller one.",
        f"图片超过 {most / 1e6:g} MB 的上限。请发送较小的图片。",
    )


def _wrong(why: str) -> Denied:
    return Denied(
        400,
        "upload",
        f"The upload cannot be used: {why}. Choose the picture again.",
        f"上传无法使用：{why}。请重新选择图片。",
    )
