"""Checking passwords: slow for who guesses, bounded in memory, quick for who is known."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import threading
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from .errors import BadAccount, StorageFailed, TooBusy
from .settings import GatewaySettings

# NIST SP 800-63B 5.1.1.2 asks for 8 or more, and to allow long ones.
MIN_PASSWORD: Final = 10
MAX_PASSWORD: Final = 256
_REMEMBERED: Final = 1024
_BUSY_S: Final = 2.0
_STEP_BACK: Final = 10
_T = TypeVar("_T")


def require_good(password: str, name: str = "") -> None:
    """Raise BadAccount if `password` cannot be the one of `name`."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise BadAccount(
            f"A password must have {MIN_PASSWORD} to {MAX_PASSWORD} characters, this one has "
            f"{len(password)}. Several words in a row are easy to keep in mind."
        )
    if password.isspace() or len(set(password)) < 4 or (name and password.casefold() == name):
        raise BadAccount("This password is too easy to guess. Take several words in a row.")


def hasher(settings: GatewaySettings) -> PasswordHasher:
    """Argon2id (RFC 9106) on one lane: a check takes one core, however many there are."""
    return PasswordHasher(
        time_cost=settings.password_passes,
        memory_cost=settings.password_memory_kib,
        parallelism=1,
    )


def canonical(password: str) -> str:
    """The same characters, whichever keyboard composed them (RFC 8265, OpaqueString: NFC)."""
    return unicodedata.normalize("NFC", password)


class Passwords:
    """At most `password_workers` checks run and `password_queue` wait; then TooBusy.

    Memory: password_workers * password_memory_kib. The threads step back (nice) behind the
    event loop, so guessing does not slow who is in already. `close()` ends them.
    """

    def __init__(self, settings: GatewaySettings, clock: Callable[[], float] = time.monotonic):
        self._settings = settings
        self._clock = clock
        self._hasher = hasher(settings)
        # What an unknown user's password is compared with, at the cost of a known one's.
        self._nobodys = self._hasher.hash(secrets.token_urlsafe(32))
        self._pool = ThreadPoolExecutor(
            settings.password_workers, thread_name_prefix="password", initializer=_step_back
        )
        self._places = settings.password_workers + settings.password_queue
        self._key = secrets.token_bytes(32)
        self._good: OrderedDict[bytes, float] = OrderedDict()

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether `stored` (PHC format) is a hash of `password`; None (no such user): never.

        Raises TooBusy; StorageFailed if `stored` is no Argon2 hash.
        """
        found = await self._run(lambda: self._compare(stored or self._nobodys, password))
        return found and stored is not None

    async def hash(self, password: str) -> str:
        """Raises TooBusy."""
        return await self._run(lambda: self._hasher.hash(canonical(password)))

    def is_outdated(self, stored: str) -> bool:
        """Whether `stored` was made at another cost than a new hash would be."""
        return self._hasher.check_needs_rehash(stored)

    def remember(self, mark: bytes) -> None:
        """`mark` was found good: for password_cache_s it need not be checked again."""
        self._good[mark] = self._clock() + self._settings.password_cache_s
        self._good.move_to_end(mark)
        while len(self._good) > _REMEMBERED:
            self._good.popitem(last=False)

    def remembers(self, mark: bytes) -> bool:
        until = self._good.get(mark)
        return until is not None and self._clock() < until

    def mark(self, name: str, stored: str | None, password: str, address: str) -> bytes:
        """Stands for this attempt in memory, instead of the password: a keyed hash, whose key is
        made at start and never written. Another value as soon as the stored hash is another."""
        texts = (name, stored or "", canonical(password), address)
        parts = [text.encode(errors="surrogateescape") for text in texts]
        joined = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hashlib.blake2b(joined, key=self._key, digest_size=32).digest()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], _T]) -> _T:
        if self._places == 0:
            raise TooBusy("Too many sign-ins at the same time. Try again in a moment.", _BUSY_S)
        self._places -= 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        # Not in a `finally` below: whoever stops waiting does not stop the thread.
        future.add_done_callback(self._leave)
        return await asyncio.shield(future)

    def _leave(self, future: asyncio.Future[_T]) -> None:
        self._places += 1
        if not future.cancelled():
            future.exception()  # seen, even if nobody waits any more

    def _compare(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, canonical(password))
        except VerifyMismatchError:
            return False
        except (InvalidHashError, VerificationError) as error:
            raise StorageFailed(
                "The users file holds a password hash that cannot be used "
                f"({error}). Set the password again: `heliochrome-gateway user passwd NAME`."
            ) from error


def _step_back() -> None:
    """Let the event loop's thread go first. On Linux niceness is of a thread, not a process."""
    if hasattr(os, "setpriority") and os.uname().sysname == "Linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _STEP_BACK)
