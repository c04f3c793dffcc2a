"""Whether a file is a picture that can be decoded, within bounds."""

from __future__ import annotations

import asyncio
import logging
import struct
import zlib
from dataclasses import dataclass
from typing import IO, Final

from PIL import Image, UnidentifiedImageError

from .refusals import Denied

_log = logging.getLogger("heliochrome.gateway")

# What the host's own node reads. MPO is what some cameras' JPEG files turn out to be.
_ENDINGS: Final = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jfif"),
    "MPO": (".jpg", ".jpeg"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
}
_OPENED: Final = tuple(name for name in _ENDINGS if name != "MPO")
# A decoded picture takes several bytes a pixel: one at a time, the others wait.
_AT_ONCE: Final = 1
# Whatever is wrong with a picture, Pillow says it with one of these.
_DAMAGED: Final = (
    OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError,
    OverflowError, MemoryError, NotImplementedError, struct.error, zlib.error,
    Image.DecompressionBombError,
)  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """What a picture turned out to be. endings: of its format's file names."""

    format: str
    width: int
    height: int
    endings: tuple[str, ...]


class Pictures:
    """most_pixels: of all frames together, as the host decodes them all."""

    def __init__(self, most_pixels: int) -> None:
        self._most = most_pixels
        self._turn = asyncio.Semaphore(_AT_ONCE)
        Image.init()
        Image.MAX_IMAGE_PIXELS = None  # the bound here is ours, and does not only warn

    async def look(self, file: IO[bytes]) -> Seen:
        """Decode all of it, and leave `file` at its beginning. Raises Denied."""
        async with self._turn:
            return await asyncio.to_thread(self._look, file)

    def _look(self, file: IO[bytes]) -> Seen:
        file.seek(0)
        try:
            with Image.open(file, formats=_OPENED) as picture:
                width, height = picture.size
                # Before its frames are counted, for which all of it may be read.
                if width * height > self._most:
                    raise _too_many(self._most)
                for index in range(self._frames(picture)):
                    picture.seek(index)
                    picture.load()
                kind = picture.format or ""
        except UnidentifiedImageError as error:
            raise _no_picture("it is none of PNG, JPEG, WebP, TIFF, BMP and GIF") from error
        except _DAMAGED as error:
            _log.info("A picture was refused: %r", error)
            raise _no_picture("it is damaged, or not whole") from error
        file.seek(0)
        return Seen(kind, width, height, _ENDINGS[kind])

    def _frames(self, picture: Image.Image) -> int:
        frames: int = getattr(picture, "n_frames", 1)
        if frames * picture.width * picture.height > self._most:
            raise _too_many(self._most)
        return frames


def _too_many(most: int) -> Denied:
    return Denied(
        413,
        "pixels",
        f"The picture has more than {most / 1e6:g} million pixels. Make it smaller.",
        f"图片超过 {most / 1e6:g} 百万像素的上限。请缩小后重试。",
    )


def _no_picture(why: str) -> Denied:
    return Denied(
        415,
        "picture",
        f"This file is not a picture that can be used: {why}. Choose another one.",
        "此文件不是可用的图片。请选择 PNG、JPEG、WebP、TIFF、BMP 或 GIF 图片。",
    )
