"""Pictures on their way in and out: base64 or an object into a photograph, pixels into a PNG."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

import cv2
import numpy as np

from ..core.disk import hash_file, human_bytes
from ..core.errors import BadImage, BadSetting, shown
from ..core.lab import FloatArray
from ..core.photo import Metadata, Photo, read_photo, result_record
from ..core.photo.png import wrap
from ..core.provenance import Provenance
from . import objects
from .deadline import Deadline
from .places import Place, is_address
from .refusals import Refusal
from .scratch import append, scratch_file
from .settings import HandlerSettings

_DATA_URL: Final = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,", re.ASCII)
# Two thirds of the time that level 2 with "up" takes, for a file that is a third longer: it is sent
# once, and somebody waits.
_PNG: Final = {"compression": 1, "filter": "avg"}


@dataclass(frozen=True)
class Received:
    """A picture of the caller's. sha256: of its file, hex. record: ours, if we made it."""

    photo: Photo
    sha256: str
    record: Provenance | None = None


def receive(
    text: str,
    name: str,
    settings: HandlerSettings,
    cancel: Deadline,
    keep_stored: bool = False,
) -> Received:
    """Read base64, a data: URL, or an address below HELIOCHROME_BUCKETS.

    name: "image" or "mask", for messages. keep_stored: see `read_photo`. Raises BadImage,
    Refusal, OutOfTime.
    """
    with scratch_file() as file:
        if is_address(text):
            place = _allowed(text, name, settings)
            objects.download(place, file, settings.max_image_bytes, cancel)
        else:
            append(file, _decoded(text, name, settings.max_image_bytes))
        return read(file, name, settings, keep_stored)


def read(
    file: BinaryIO, name: str, settings: HandlerSettings, keep_stored: bool = False
) -> Received:
    """The photograph in a scratch file. Raises BadImage that names it `name`."""
    path = Path(file.name)
    try:
        photo = read_photo(path, max_pixels=settings.max_image_pixels, keep_stored=keep_stored)
    except BadImage as error:
        raise BadImage(str(error).replace(str(path), name)) from error
    return Received(photo, hash_file(path), result_record(path))


def to_png(image: FloatArray, xmp: bytes) -> bytes:
    """(H, W, 3) float32 sRGB in [0, 1] -> an 8-bit PNG that holds `xmp`."""
    import pyvips

    height, width = image.shape[:2]
    pixels = np.ascontiguousarray(cv2.convertScaleAbs(image, alpha=255))
    picture = pyvips.Image.new_from_memory(pixels.data, width, height, 3, "uchar")
    encoded = picture.copy(interpretation="srgb").pngsave_buffer(keep="none", **_PNG)
    out = BytesIO()
    wrap(BytesIO(encoded), out, Metadata(xmp=xmp))
    return out.getvalue()


def _allowed(text: str, name: str, settings: HandlerSettings) -> Place:
    try:
        place = Place.parse(text)
    except BadSetting as error:
        raise BadSetting(f"{name}: {error}") from error
    named = place.key and not place.key.endswith("/")
    if not named or not any(folder.holds(place) for folder in settings.buckets):
        raise Refusal(
            "place_not_allowed",
            f"{name}: pictures may not be read from {shown(str(place))}. This function "
            "reads only from the places that its operator has allowed (HELIOCHROME_BUCKETS).",
        )
    return place


def _decoded(text: str, name: str, most_bytes: int) -> bytes:
    found = _DATA_URL.match(text)
    bare = "".join((text[found.end() :] if found else text).split())
    if not bare:
        raise BadImage(f"{name}: expected a picture in base64, but it is empty.")
    try:
        decoded = base64.b64decode(bare, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadImage(
            f"{name}: expected a picture in base64, or an s3:// address; got neither ({error})."
        ) from error
    if len(decoded) > most_bytes:
        raise BadImage(
            f"{name} has {human_bytes(len(decoded))}; at most {human_bytes(most_bytes)} are taken."
        )
    return decoded
