"""Deciding who somebody is: a session, a password or a token into an Identity."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Literal

from .audit import AuditLog
from .errors import Refused, StorageFailed
from .identity import Identity
from .lockout import Lockout
from .passwords import MAX_PASSWORD, Passwords
from .sessions import Sessions
from .settings import GatewaySettings
from .tokens import token_digest
from .users import User, Users

_log = logging.getLogger("heliochrome.gateway")

Method = Literal["page", "basic"]
# A token says who it is at every request; it is recorded once in so long, for each address.
_TOKEN_RECORDED_S: Final = 3600.0
_REMEMBERED: Final = 4096


class Accounts:
    """Users, passwords, sessions and lockout together. From the event loop's thread only.

    Every method raises StorageFailed where a file cannot be used: nobody is let in then.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        audit: AuditLog,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._audit, self._clock = audit, clock
        self._users = Users(settings.users_path)
        self._users.all()  # a damaged file is told at start, not to the first visitor
        self._passwords = Passwords(settings, clock)
        self._lockout = Lockout(settings, clock)
        # A program that goes on showing a token that was removed keeps nobody from signing in.
        self._token_lockout = Lockout(settings, clock)
        self._sessions = Sessions(
            settings.folder / "sessions.sqlite", settings.session_idle_s, settings.session_max_s
        )
        self._checks: dict[tuple[Method, bytes], asyncio.Task[User | None]] = {}
        self._tokens_seen: OrderedDict[tuple[str, str], float] = OrderedDict()

    def close(self) -> None:
        self._passwords.close()
        self._sessions.close()

    def is_current(self, user: User) -> bool:
        """Whether `user` is still there, with the password of then."""
        now = self._users.find(user.name)
        return now is not None and now.generation == user.generation

    def has_token(self, token: str) -> bool:
        return self._users.find_by_token(token_digest(token)) is not None

    def by_session(self, session_id: str, *, use: bool = True) -> Identity | None:
        """use: count this as a use of the session, which keeps it from ending."""
        session = self._sessions.find(session_id, use=use)
        user = self._users.find(session.name) if session else None
        if session is None or user is None or session.generation != user.generation:
            return None
        return user.identity

    async def by_password(
        self, name: str, password: str, address: str, method: Method
    ) -> User | None:
        """None: no such user, or another password. Raises LockedOut and TooBusy.

        The same one sent many times at once is checked once; and one that a program ("basic")
        sends at every request is not checked again for a while, from the same address. Where
        that is shared with somebody who guesses, a program should show a token instead.
        """
        name = name.strip().lower()  # phones begin a field with a capital
        user = self._users.find(name)
        if len(password) > MAX_PASSWORD:
            password = ""  # nobody has it, and hashing megabytes would be work for nothing
        mark = self._passwords.mark(name, user.hash if user else None, password, address)
        if method == "basic" and self._passwords.remembers(mark):
            # Or a neighbour at the same address could guess at full speed, and see when right.
            self._lockout.require_open(address, _account(name))
            return user
        check = self._checks.get((method, mark))
        if check is None:
            attempt = self._check(user, name, password, address, method)
            check = self._checks[method, mark] = asyncio.create_task(attempt)
            check.add_done_callback(lambda done: self._checked(method, mark, done))
        # Whoever stops waiting does not stop the check, nor its being recorded.
        return await asyncio.shield(check)

    async def by_token(self, token: str, address: str) -> Identity | None:
        """Raises LockedOut for an address that has guessed."""
        digest = token_digest(token)
        user = self._users.find_by_token(digest)
        if user is None:
            seconds = self._token_lockout.begin(address, "")
            await self._record_failure("", address, "token", "unknown", seconds)
            return None
        key, now = (digest, address), self._clock()
        if self._tokens_seen.get(key, now) <= now:
            shown = next(known.id for known in user.tokens if known.sha256 == digest)
            await self._audit.write(
                "login", user=user.name, address=address, method="token", token=shown
            )
            self._tokens_seen[key] = now + _TOKEN_RECORDED_S
            while len(self._tokens_seen) > _REMEMBERED:
                self._tokens_seen.popitem(last=False)
        return user.identity

    def begin_session(self, user: User) -> str:
        """The new session's id."""
        return self._sessions.begin(user)

    async def end_session(self, session_id: str, address: str) -> None:
        identity = self.by_session(session_id, use=False)
        self._sessions.end(session_id)
        if identity:
            await self._audit.write("logout", user=identity.name, address=address)

    async def _check(
        self, user: User | None, name: str, password: str, address: str, method: Method
    ) -> User | None:
        account = _account(name)
        seconds = self._lockout.begin(address, account)
        try:
            good = await self._passwords.verify(user.hash if user else None, password)
        except (Refused, StorageFailed):
            self._lockout.withdrawn(address, account)
            raise
        if user is None or not good:
            # Not what was given as a name: people type their password there.
            known = user.name if user else ""
            reason = "wrong password" if user else "no such user"
            await self._record_failure(known, address, method, reason, seconds)
            return None
        self._lockout.succeeded(address, account)
        await self._audit.write("login", user=user.name, address=address, method=method)
        if self._passwords.is_outdated(user.hash):
            await self._renew_hash(user, password)
        return user

    async def _renew_hash(self, user: User, password: str) -> None:
        """Not worth turning somebody away for: it is tried again at the next sign-in."""
        try:
            self._users.renew_hash(user, await self._passwords.hash(password))
        except (Refused, StorageFailed) as error:
            _log.warning("The password of %s keeps its old cost: %s", user.name, error)

    def _checked(self, method: Method, mark: bytes, check: asyncio.Task[User | None]) -> None:
        del self._checks[method, mark]
        if not check.cancelled() and check.exception() is None and check.result() is not None:
            self._passwords.remember(mark)

    async def _record_failure(
        self, user: str, address: str, method: str, reason: str, seconds: float
    ) -> None:
        await self._audit.write("failure", user=user, address=address, method=method, reason=reason)
        if seconds:
            await self._audit.write(
                "lockout", user=user, address=address, method=method, seconds=seconds
            )


def _account(name: str) -> str:
    """For the lockout: also of a name that nobody has, whose delay would tell otherwise. Of one
    length, as what a visitor gives as a name is not."""
    return hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()
