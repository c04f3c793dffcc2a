"""Opening a file that should be a photograph, and telling by its content what it is."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Literal

from ..errors import BadImage

FileKind = Literal["jpeg", "png", "tiff", "webp", "gif", "bmp"]

_MAGIC: Final[tuple[tuple[bytes, FileKind], ...]] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
)
_KNOWN_OTHERS: Final = (
    (0, b"8BPS", "a Photoshop document"),
    (0, b"%PDF", "a PDF"),
    (4, b"ftyp", "an HEIC, AVIF or video file"),
    (0, b"\xff\x0a", "a JPEG XL file"),
    (4, b"JXL ", "a JPEG XL file"),
    (4, b"jP  ", "a JPEG 2000 file"),
)


@contextmanager
def open_photo(path: Path) -> Iterator[tuple[BinaryIO, FileKind]]:
    """The open file and its kind. Raises BadImage for anything that is not such a file."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            found = "a folder" if path.is_dir() else "not a regular file"
            raise BadImage(f"Expected a photograph, but this is {found}. Choose an image file.")
        # Without O_NONBLOCK a pipe put there just now would make us wait for ever.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags)
    except FileNotFoundError as error:
        raise BadImage("There is no such file. Check the name and the folder.") from error
    except PermissionError as error:
        raise BadImage("The file may not be read. Change its permissions or copy it.") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise BadImage(f"The file cannot be opened: {error}.") from error
    with os.fdopen(descriptor, "rb") as file:
        try:
            kind = _kind_of(file.read(16))
        except OSError as error:
            raise BadImage(f"The file cannot be read: {error.strerror}.") from error
        yield file, kind


def _kind_of(head: bytes) -> FileKind:
    if not head:
        raise BadImage("Expected a photograph, but the file is empty. Copy it again.")
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp"
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    found = next(
        (name for at, magic, name in _KNOWN_OTHERS if head.startswith(magic, at)),
        "something else",
    )
    raise BadImage(
        f"Expected a JPEG, PNG, TIFF, WebP, BMP or GIF picture, but the content is {found}. "
        "Save it as one of these first."
    )
