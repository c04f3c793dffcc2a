"""Objects in S3 and OSS: read, stored, and linked to. Credentials come from the platform."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any, BinaryIO, Final, TypeVar

from ..core.disk import human_bytes
from ..core.errors import BadImage, BadSetting
from ..core.jobs import Cancel
from ..core.object_stores import open_store
from .places import Place
from .refusals import Refusal

_STALL_S: Final = 20.0
_TRIES: Final = 3
_PAUSE_S: Final = 0.2  # after the first failure; then twice that
_BLOCK: Final = 1 << 20
_USER_METADATA: Final = "heliochrome-"

_CREDENTIALS: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SESSION_TOKEN",
    "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "ALIBABA_CLOUD_SECURITY_TOKEN",
)

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Head:
    """size: bytes. e_tag: changes with the content. notes: what `store` was given."""

    size: int
    e_tag: str
    notes: Mapping[str, str] = field(default_factory=dict)


def download(place: Place, file: BinaryIO, most_bytes: int, cancel: Cancel) -> Head:
    """Write the object into `file`. Raises Refusal, BadImage (too large), what `cancel` raises."""
    import obstore

    def answer() -> Any:
        return obstore.get(_bucket(place.scheme, place.bucket), place.key)

    found = _asking(answer, place)
    head = _head(found)
    if head.size > most_bytes:
        raise BadImage(
            f"{place} has {human_bytes(head.size)}; at most {human_bytes(most_bytes)} are taken."
        )

    def copy() -> None:
        for block in found.stream(min_chunk_size=_BLOCK):
            cancel()
            file.write(bytes(block))

    _asking(copy, place, tries=1)  # what has been written cannot be taken back
    file.flush()
    return head


def look(place: Place) -> Head | None:
    """What is known of an object; None if it is not there. Raises Refusal."""
    import obstore

    def answer() -> Any:
        options: Any = {"head": True}
        return obstore.get(_bucket(place.scheme, place.bucket), place.key, options=options)

    try:
        return _head(_asking(answer, place))
    except Refusal as error:
        if error.code == "object_not_found":
            return None
        raise


def read(place: Place) -> bytes | None:
    """A small object's content; None if it is not there. Raises Refusal."""
    import obstore

    def answer() -> bytes:
        return bytes(obstore.get(_bucket(place.scheme, place.bucket), place.key).bytes())

    try:
        return _asking(answer, place)
    except Refusal as error:
        if error.code == "object_not_found":
            return None
        raise


def store(
    place: Place, content: bytes, content_type: str, notes: Mapping[str, str] | None = None
) -> None:
    """Put an object in place, whole or not at all, over what is there. Raises Refusal.

    notes: kept with it as user metadata; ASCII.
    """
    import obstore

    about: dict[str, str] = {"Content-Type": content_type}
    about |= {_USER_METADATA + name: text for name, text in (notes or {}).items()}

    def answer() -> Any:
        return obstore.put(
            _bucket(place.scheme, place.bucket), place.key, content, attributes=about
        )

    try:
        _asking(answer, place)
    except Refusal as error:  # whatever it is, the caller named no such place
        raise Refusal("storage_failed", str(error)) from error


def link(place: Place, seconds: int) -> str:
    """A web address that gives the object to whoever has it, for so long. Raises Refusal."""
    import obstore

    def answer() -> str:
        bucket = _bucket(place.scheme, place.bucket)
        return str(obstore.sign(bucket, "GET", place.key, timedelta(seconds=seconds)))

    return _asking(answer, place)


def _bucket(scheme: str, bucket: str) -> Any:
    return _opened(scheme, bucket, tuple(os.environ.get(name) for name in _CREDENTIALS))


@lru_cache(maxsize=16)
def _opened(scheme: str, bucket: str, credentials: tuple[str | None, ...]) -> Any:
    """Kept for its connections, until the platform hands out other credentials."""
    try:
        return open_store(f"{scheme}://{bucket}", _STALL_S)
    except BadSetting as error:
        raise Refusal("not_configured", str(error)) from error


def _asking(ask: Callable[[], _Answer], place: Place, tries: int = _TRIES) -> _Answer:
    """The storage's answer, asked for again where it fails; its errors in our words."""
    from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

    tried = 0
    while True:
        tried += 1
        try:
            return ask()
        except (FileNotFoundError, PermissionDeniedError, UnauthenticatedError) as error:
            # Storage also answers "forbidden" for what is not there, to who may not list.
            raise Refusal(
                "object_not_found", f"{place} is not there, or this function may not read it."
            ) from error
        except (BaseError, OSError) as error:
            if tried == tries:
                reason = str(error).splitlines()[0]
                raise Refusal("storage_failed", f"{place}: {reason}") from error
            time.sleep(_PAUSE_S * tried)


def _head(found: Any) -> Head:
    notes = {
        str(name).removeprefix(_USER_METADATA): str(text)
        for name, text in found.attributes.items()
        if str(name).startswith(_USER_METADATA)
    }
    return Head(found.meta["size"], str(found.meta["e_tag"]), notes)
