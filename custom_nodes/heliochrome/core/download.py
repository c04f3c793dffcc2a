"""Fetch one file over HTTP: resumable across runs, checked, whole or not there."""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .disk import read_blocks, read_json, replace_durably, require_room, write_json, writing
from .errors import BadWeights, ChecksumMismatch, DownloadFailed
from .http_body import Head, HttpFailure, RangeIgnored, open_body
from .jobs import Cancel, Progress, never_cancel, no_progress
from .object_stores import hides_absence
from .weights_file import refuse_impostor

_log = logging.getLogger("heliochrome")

_LONGEST_WAIT_S: Final = 15.0
# An attempt counts as useful if it brought this part of the file. It bounds the attempts
# against a server that gives a few bytes per connection.
_USEFUL_PART: Final = 100


@dataclass(frozen=True)
class Remote:
    """A file on a server. size in bytes, sha256 (hex) and etag where known.

    sha256_from says, for the message, who knows the digest. etag: what the server called this
    version of the file; another one is refused.
    """

    endpoint: str
    path: str
    size: int | None = None
    sha256: str | None = None
    sha256_from: str = "the catalogue"
    etag: str | None = None

    @property
    def url(self) -> str:
        return f"{self.endpoint.rstrip('/')}/{self.path}"


@dataclass(frozen=True)
class Patience:
    """How long to bear with a bad line.

    tries: useless attempts in a row before giving up; the wait doubles from first_wait_s
    between them. stall_s: seconds of silence that end an attempt.
    """

    first_wait_s: float = 0.5
    tries: int = 5
    stall_s: float = 30.0


class Unreachable(DownloadFailed):
    """The host itself could not be reached, so its other files cannot either."""


def download(
    remote: Remote,
    target: Path,
    *,
    patience: Patience = Patience(),
    progress: Progress = no_progress,
    cancel: Cancel = never_cancel,
) -> str:
    """Bring `remote` to `target` and return its SHA-256 (hex).

    What has arrived is kept beside the target as `*.part`, also when the process is killed,
    and continued by the next call. `progress` counts bytes. The caller keeps other
    processes away from the same target. Raises `DownloadFailed` (`CannotWrite` if the disk
    is at fault), `ChecksumMismatch` or `BadWeights` (the file is removed), and what
    `cancel` raises (the part is kept).
    """
    partial = Partial(target, remote.url, cancel)
    if remote.size not in (None, partial.size) or remote.etag not in (None, partial.etag):
        partial.clear()
    if remote.size is not None:
        require_room(target.parent, remote.size - partial.have)
    tries, best, reached = patience.tries, partial.have, False
    while not partial.complete:
        try:
            _receive(remote, partial, patience.stall_s, progress, cancel)
        except RangeIgnored:
            partial.clear()
            reason, reached = "the server cannot continue a download", True
        except HttpFailure as failure:
            reason, reached = str(failure), reached or failure.reached
            if failure.lasting:
                raise DownloadFailed(f"{remote.url}: {reason}.") from failure
        else:
            continue
        if partial.have > best + partial.size // _USEFUL_PART:
            tries, best = patience.tries, partial.have
        else:
            tries -= 1
        # A host that never answered is asked only once more: most likely there is no network.
        if tries <= 0 or (not reached and tries < patience.tries - 1):
            kept = " What has arrived is kept and will be continued." if partial.have else ""
            error = DownloadFailed if reached else Unreachable
            raise error(f"{remote.url}: {reason}.{kept}")
        wait = min(patience.first_wait_s * 2 ** (patience.tries - tries - 1), _LONGEST_WAIT_S)
        _log.info("%s: %s; trying again in %.1f s", remote.url, reason, wait)
        _sleep(wait, cancel)
    return _finish(remote, partial, target)


def look(
    remote: Remote, *, patience: Patience = Patience(), cancel: Cancel = never_cancel
) -> Head | None:
    """What the server says of a file; None if it has none of that name. Nothing is kept.

    Asks with GET and hangs up: not every server answers HEAD, and signed addresses never do.
    Raises `DownloadFailed` and what `cancel` raises.
    """
    wait = patience.first_wait_s
    for left in reversed(range(patience.tries)):
        try:
            with open_body(remote.endpoint, remote.path, 0, patience.stall_s, cancel) as (head, _):
                return head
        except HttpFailure as failure:
            if failure.missing or (failure.refused and hides_absence(remote.endpoint)):
                return None
            if failure.lasting or not left:
                error = DownloadFailed if failure.reached else Unreachable
                raise error(f"{remote.url}: {failure}.") from failure
        _sleep(wait, cancel)
        wait = min(2 * wait, _LONGEST_WAIT_S)
    raise AssertionError("every try returned or raised")


def _receive(
    remote: Remote, partial: Partial, stall_s: float, progress: Progress, cancel: Cancel
) -> None:
    with open_body(remote.endpoint, remote.path, partial.have, stall_s, cancel) as (head, blocks):
        if (head.content_type or "").startswith("text/html"):
            raise HttpFailure(
                "the server sent a web page instead of the file (a login or an error page?)",
                reached=True,
                lasting=True,
            )
        if remote.size is not None and head.size != remote.size:
            raise HttpFailure(
                f"the server offers {head.size} bytes, but the file has {remote.size}",
                reached=True,
                lasting=True,
            )
        if remote.etag not in (None, head.etag):
            raise HttpFailure("the file has changed on the server", reached=True, lasting=True)
        if partial.have and not partial.belongs_to(head):
            partial.clear()
            raise HttpFailure("the file has changed on the server", reached=True)
        if not partial.have:
            partial.begin(head)
        require_room(partial.path.parent, partial.size - partial.have)
        progress(partial.have, partial.size)
        for block in blocks:
            partial.append(block)
            progress(partial.have, partial.size)
    if not partial.complete:
        raise HttpFailure("the connection broke off", reached=True)


def _finish(remote: Remote, partial: Partial, target: Path) -> str:
    digest = partial.sha256.hexdigest()
    if remote.sha256 not in (None, digest):
        partial.clear()
        raise ChecksumMismatch(
            f"{remote.url}: the file has SHA-256 {digest}, but {remote.sha256_from} says "
            f"{remote.sha256}. It was removed."
        )
    try:
        refuse_impostor(partial.path, remote.url)
    except BadWeights:
        partial.clear()
        raise
    with writing(target):
        replace_durably(partial.path, target)
    partial.clear()
    return digest


def _sleep(seconds: float, cancel: Cancel) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        cancel()
        time.sleep(min(left, 0.1))


class Partial:
    """The bytes that have arrived, and beside them a note of which file they belong to."""

    def __init__(self, target: Path, url: str, cancel: Cancel) -> None:
        key = hashlib.sha256(url.encode()).hexdigest()[:8]
        self.path = target.with_name(f"{target.name}.{key}.part")
        self._note = target.with_name(f"{target.name}.{key}.part.json")
        note = read_json(self._note)
        size: Any = note.get("size")
        self.size: int = size if type(size) is int else 0  # a damaged note: begin again
        self.etag: str | None = note.get("etag")
        self.have = self.path.stat().st_size if self.path.is_file() else 0
        self.sha256 = hashlib.sha256()
        if not 0 < self.have <= self.size:
            self.clear()
        else:
            self._hash(cancel)

    def _hash(self, cancel: Cancel) -> None:
        for block in read_blocks(self.path, cancel=cancel):
            self.sha256.update(block)

    @property
    def complete(self) -> bool:
        return 0 < self.size == self.have

    def belongs_to(self, head: Head) -> bool:
        """Whether the answer is about the file these bytes are from.

        Compared here instead of with If-Match: that header would go to the first host of a
        redirect, which does not know the ETag of the host that sends the bytes.
        """
        return head.size == self.size and head.etag == self.etag

    def begin(self, head: Head) -> None:
        self.size, self.etag = head.size, head.etag
        with writing(self._note):
            write_json(self._note, {"size": head.size, "etag": head.etag})

    def append(self, block: bytes) -> None:
        # Unbuffered and closed each time: a killed process has lost nothing that was counted.
        with writing(self.path), self.path.open("ab", buffering=0) as file:
            view = memoryview(block)
            while view:
                view = view[file.write(view) or 0 :]
        self.have += len(block)
        self.sha256.update(block)

    def clear(self) -> None:
        """Forget everything; nothing that could be loaded stays."""
        for path in (self.path, self._note):
            path.unlink(missing_ok=True)
        self.size, self.etag, self.have = 0, None, 0
        self.sha256 = hashlib.sha256()
