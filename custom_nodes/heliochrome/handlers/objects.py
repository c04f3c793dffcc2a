"""Objects in S3 and OSS: read, stored, and linked to. Credentials come from the platform."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any, BinaryIO, Final, Literal, TypeVar

from ..core.disk import human_bytes
from ..core.errors import BadImage, BadSetting, OutputExists
from ..core.object_stores import open_store
from .deadline import Deadline
from .places import Place
from .refusals import OutOfTime, Refusal
from .scratch import append

_STALL_S: Final = 20.0
_TRIES: Final = 3
_PAUSE_S: Final = 0.2  # after the first failure; then twice that
_BLOCK: Final = 1 << 20
_USER_METADATA: Final = "heliochrome-"
# Where "only if nobody has written it since" is part of the request. OSS is not known to heed it.
_CONDITIONAL: Final = ("s3",)

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


def download(place: Place, file: BinaryIO, most_bytes: int, cancel: Deadline) -> Head:
    """Write the object into `file`. Raises Refusal, BadImage (too large), OutputFailed,
    OutOfTime."""
    import obstore

    found = _asking(lambda: obstore.get_async(_bucket(place), place.key), place, cancel)
    head = _head(found)
    if head.size > most_bytes:
        raise BadImage(
            f"{place} has {human_bytes(head.size)}; at most {human_bytes(most_bytes)} are taken."
        )

    async def copy() -> None:
        async for block in found.stream(min_chunk_size=_BLOCK):
            append(file, bytes(block))

    _asking(copy, place, cancel, tries=1)  # what has been written cannot be taken back
    return head


def look(place: Place, cancel: Deadline) -> Head | None:
    """What is known of an object that is about to be written; None if it is not there, or if
    nothing may be known of it and `store` can still leave it alone. Raises Refusal, OutOfTime."""
    import obstore

    options: Any = {"head": True}

    async def answer() -> Any:
        return await obstore.get_async(_bucket(place), place.key, options=options)

    try:
        return _head(_asking(answer, place, cancel))
    except Refusal as error:
        if error.code != "object_not_found":
            raise
        if isinstance(error.__cause__, FileNotFoundError) or place.scheme in _CONDITIONAL:
            return None
        raise Refusal(
            "storage_failed",
            f"{place}: this function may not see whether it is there, so it writes nothing to it. "
            "Let its role list and read that folder.",
        ) from error


def read(place: Place, cancel: Deadline) -> bytes | None:
    """A small object's content; None if it is not there. Raises Refusal, OutOfTime."""
    import obstore

    async def answer() -> bytes:
        found = await obstore.get_async(_bucket(place), place.key)
        return bytes(await found.bytes_async())

    try:
        return _asking(answer, place, cancel)
    except Refusal as error:
        if error.code == "object_not_found":
            return None
        raise


def store(
    place: Place,
    content: bytes,
    content_type: str,
    cancel: Deadline,
    notes: Mapping[str, str] | None = None,
    over: Head | Literal["anything"] | None = "anything",
) -> None:
    """Put an object in place, whole or not at all. Raises Refusal, OutOfTime, OutputExists.

    notes: kept with it as user metadata; ASCII. over: what it may replace, as `look` told it:
    OutputExists if something else is there by now. In OSS that is looked at just before, so
    that whoever writes in the same moment goes unnoticed.
    """
    import obstore
    from obstore.exceptions import AlreadyExistsError, PreconditionError

    about: dict[str, str] = {"Content-Type": content_type}
    about |= {_USER_METADATA + name: text for name, text in (notes or {}).items()}
    mode: Any = "overwrite"
    if over != "anything" and place.scheme in _CONDITIONAL:
        mode = "create" if over is None else {"e_tag": over.e_tag}
    elif over != "anything" and look(place, cancel) != over:
        raise _changed(place)

    async def answer() -> Any:
        # In one part, for which the roles' policies and the bucket's lifecycle are made.
        return await obstore.put_async(
            _bucket(place), place.key, content, attributes=about, mode=mode, use_multipart=False
        )

    try:
        _asking(answer, place, cancel)
    except (AlreadyExistsError, PreconditionError) as error:
        raise _changed(place) from error
    except Refusal as error:  # whatever it is, the caller named no such place
        if over not in ("anything", None) and isinstance(error.__cause__, FileNotFoundError):
            raise _changed(place) from error
        raise Refusal("storage_failed", str(error)) from error


def link(place: Place, seconds: int, cancel: Deadline) -> str:
    """A web address that gives the object to whoever has it, for so long. Raises Refusal,
    OutOfTime."""
    import obstore

    async def answer() -> str:
        end = timedelta(seconds=seconds)
        return str(await obstore.sign_async(_bucket(place), "GET", place.key, end))

    return _asking(answer, place, cancel)


def _changed(place: Place) -> OutputExists:
    return OutputExists(f"{place} has been written by somebody else meanwhile: try again.")


def _bucket(place: Place) -> Any:
    credentials = tuple(os.environ.get(name) for name in _CREDENTIALS)
    return _opened(place.scheme, place.bucket, credentials)


@lru_cache(maxsize=16)
def _opened(scheme: str, bucket: str, credentials: tuple[str | None, ...]) -> Any:
    """Kept for its connections, until the platform hands out other credentials."""
    try:
        return open_store(f"{scheme}://{bucket}", _STALL_S)
    except BadSetting as error:
        raise Refusal("not_configured", str(error)) from error


def _asking(
    ask: Callable[[], Awaitable[_Answer]], place: Place, cancel: Deadline, tries: int = _TRIES
) -> _Answer:
    """The storage's answer, asked for again where it fails; its errors in our words.

    Given up as soon as `cancel` has no time left, whatever storage does by then: OutOfTime.
    """
    from obstore.exceptions import (
        AlreadyExistsError,
        BaseError,
        PermissionDeniedError,
        PreconditionError,
        UnauthenticatedError,
    )

    async def once() -> _Answer:
        return await asyncio.wait_for(ask(), cancel.left())

    tried = 0
    while True:
        cancel()
        tried += 1
        try:
            return asyncio.run(once())
        except asyncio.TimeoutError as error:
            raise OutOfTime(f"{place} was not answered for in time.") from error
        except (FileNotFoundError, PermissionDeniedError, UnauthenticatedError) as error:
            # Storage also answers "forbidden" for what is not there, to who may not list.
            raise Refusal(
                "object_not_found", f"{place} is not there, or this function may not read it."
            ) from error
        except (AlreadyExistsError, PreconditionError):
            raise  # an answer, and for `store`
        except (BaseError, OSError) as error:
            if tried == tries:
                reason = str(error).partition("\n")[0] or type(error).__name__
                raise Refusal("storage_failed", f"{place}: {reason}") from error
            cancel.pause(_PAUSE_S * tried)


def _head(found: Any) -> Head:
    notes = {
        str(name).removeprefix(_USER_METADATA): str(text)
        for name, text in found.attributes.items()
        if str(name).startswith(_USER_METADATA)
    }
    return Head(found.meta["size"], str(found.meta["e_tag"]), notes)
