"""One HTTP response as a stream of blocks, from any byte on, over obstore.

What holds of the library (obstore >= 0.11, measured): redirects are followed and the Range
header goes along; HTTP(S)_PROXY and NO_PROXY are honoured; SSL_CERT_FILE replaces the
trusted certificates; from an https address a redirect to http is refused.
"""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from .jobs import Cancel
from .object_stores import open_store

_LEAST_BLOCK_BYTES: Final = 64 * 1024
_POLL_S: Final = 0.1
_STATUS = re.compile(r"status code: (\d{3}[\w ]*)")


@dataclass(frozen=True)
class Head:
    """What the answer says of itself. size: bytes of the whole file, not of this answer."""

    size: int
    etag: str | None
    content_type: str | None


class HttpFailure(Exception):
    """An answer that did not come, or broke off. The text is a reason, not a sentence.

    reached: the server was there. lasting: asking again cannot help. missing: it has no such
    file. refused: it does not say whether it has (S3's answer to those who may not list).
    """

    def __init__(
        self,
        reason: str,
        *,
        reached: bool,
        lasting: bool = False,
        missing: bool = False,
        refused: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reached, self.lasting = reached, lasting
        self.missing, self.refused = missing, refused


class RangeIgnored(Exception):
    """The server sends the file only from its start, or has fewer bytes than `start`."""


_Item: TypeAlias = Head | bytes | Exception | None  # None: the answer has ended


@contextmanager
def open_body(
    endpoint: str, path: str, start: int, stall_s: float, cancel: Cancel
) -> Iterator[tuple[Head, Iterator[bytes]]]:
    """Ask for the file from byte `start` on: its `Head` and its blocks.

    Raises `HttpFailure`, `RangeIgnored`, and what `cancel` raises. Silence of `stall_s`
    seconds is a failure. The network runs in a thread of its own: inside the library
    neither Ctrl-C nor `cancel` would be seen until the next byte arrives.
    """
    items: queue.Queue[_Item] = queue.Queue(maxsize=8)
    stop = threading.Event()

    def give(item: _Item) -> None:
        while not stop.is_set():
            with suppress(queue.Full):
                items.put(item, timeout=_POLL_S)
                return

    def pump() -> None:
        from obstore.exceptions import BaseError

        try:
            for item in _answer(endpoint, path, start, stall_s):
                give(item)
                if stop.is_set():
                    return
        except (BaseError, OSError) as error:
            give(_explained(error))
        finally:
            give(None)

    def take() -> Iterator[Head | bytes]:
        while True:
            cancel()
            try:
                item = items.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            if item is None:
                return
            if isinstance(item, Exception):
                raise item
            yield item

    thread = threading.Thread(target=pump, name="heliochrome-download", daemon=True)
    thread.start()
    try:
        taken = take()
        head = next(taken, None)
        if not isinstance(head, Head):
            raise HttpFailure("no answer came", reached=False)
        yield head, (item for item in taken if isinstance(item, bytes))
    finally:
        stop.set()
        thread.join(timeout=0.2)


def _answer(endpoint: str, path: str, start: int, stall_s: float) -> Iterator[Head | bytes]:
    import obstore

    store = open_store(endpoint, stall_s)
    options: Any = {"range": {"offset": start}} if start else {}
    answer = obstore.get(store, path, options=options)
    kind = answer.attributes.get("Content-Type")
    yield Head(answer.meta["size"], answer.meta["e_tag"], str(kind) if kind else None)
    for block in answer.stream(min_chunk_size=_LEAST_BLOCK_BYTES):
        yield bytes(block)


def _explained(error: Exception) -> Exception:
    """obstore's errors carry pages of debug text; the user needs the status or the cause."""
    from obstore.exceptions import NotSupportedError, PermissionDeniedError, UnauthenticatedError

    text = str(error)
    status = _STATUS.search(text)
    if isinstance(error, NotSupportedError) or (status and status[1].startswith("416")):
        return RangeIgnored()
    if status:
        reason = f"the server answered {status[1].strip()}"
        missing = isinstance(error, FileNotFoundError)
        refused = isinstance(error, PermissionDeniedError | UnauthenticatedError)
        return HttpFailure(
            reason, reached=True, lasting=missing or refused, missing=missing, refused=refused
        )
    if "TimedOut" in text or "Timeout" in text:
        return HttpFailure("the server went silent", reached="body error" in text)
    if "body error" in text:
        return HttpFailure("the connection broke off", reached=True)
    for mark, reason in (
        ("dns error", "the host name is not known"),
        ("ConnectionRefused", "the connection was refused"),
        ("InvalidCertificate", "the server's certificate is not trusted"),
        ("following redirect", "its redirect leads to plain http or in a circle"),
        ("Content-Length Header missing", "the server does not say how long the file is"),
    ):
        if mark in text:
            return HttpFailure(reason, reached=False)
    return HttpFailure(text.splitlines()[0], reached="error sending request" not in text)
