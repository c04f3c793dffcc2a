"""The users file: who exists, with which role, and the hashes of passwords and tokens."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from filelock import FileLock

from .errors import BadAccount, StorageFailed
from .identity import ROLES, Identity, Role
from .storage import (
    Stamp,
    private_folder,
    refuse_writable_by_others,
    replace_private,
    stamp,
    storing,
)

_VERSION: Final = 1
_LOCK_S: Final = 10.0
# Also a folder's name on every system, and a word in logs: nothing that needs quoting.
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9._-]{0,30}[a-z0-9])?")


@dataclass(frozen=True)
class Token:
    """What a program shows instead of a password. id: its public name. sha256: hex."""

    id: str
    sha256: str
    created: str


@dataclass(frozen=True)
class User:
    """hash: Argon2id, in PHC format. generation: changes with the password, so that what was
    signed in with the old one ends. created: ISO 8601, UTC."""

    name: str
    role: Role
    hash: str
    generation: str
    created: str
    tokens: tuple[Token, ...] = ()

    @property
    def identity(self) -> Identity:
        return Identity(self.name, self.role)


@dataclass(frozen=True)
class _Content:
    users: Mapping[str, User]
    by_token: Mapping[str, User]


class Users:
    """Reads the file again whenever it has changed, so another process may write it.

    Every method raises StorageFailed if the file is damaged or cannot be used: who was removed
    cannot be known then, so nobody is let in.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = path.with_name(f".{path.name}.lock")
        self._seen: Stamp | None = None
        self._content = _Content({}, {})

    def find(self, name: str) -> User | None:
        return self._fresh().users.get(name)

    def existing(self, name: str) -> User:
        """Raises BadAccount."""
        return _existing(self._fresh().users, name)

    def find_by_token(self, sha256: str) -> User | None:
        """Whose token has this digest. Tokens are 256 random bits, so no comparison in constant
        time is needed: what can be learned from timing is of the digest, not of the token."""
        return self._fresh().by_token.get(sha256)

    def all(self) -> tuple[User, ...]:
        return tuple(self._fresh().users.values())

    def add(self, name: str, role: Role, hash: str, created: str, *, first: bool = False) -> User:
        """first: only if there is no user yet. Raises BadAccount."""
        if not _NAME.fullmatch(name):
            raise BadAccount(
                "A user's name must be 1 to 32 of the characters a-z 0-9 . _ - and begin and end "
                f"with a letter or digit, got {name!r}."
            )
        if role not in ROLES:
            raise BadAccount(f"A role must be one of {', '.join(ROLES)}, got {role!r}.")
        user = User(name, role, hash, _generation(), created)

        def change(users: dict[str, User]) -> None:
            if name in users or (first and users):
                raise BadAccount(
                    f"There is a user {next(iter(users)) if first else name!r} already. Another "
                    "password: `heliochrome-gateway user passwd NAME`."
                )
            users[name] = user

        self._change(change)
        return user

    def set_password(self, name: str, hash: str) -> None:
        """Ends all that was signed in with the old password. Raises BadAccount."""
        self._replace(name, lambda user: replace(user, hash=hash, generation=_generation()))

    def renew_hash(self, user: User, hash: str) -> None:
        """The same password at another cost; without effect if it was changed meanwhile."""
        self._replace(
            user.name, lambda now: replace(now, hash=hash) if now.hash == user.hash else now
        )

    def remove(self, name: str) -> None:
        """Raises BadAccount; the last admin stays."""

        def change(users: dict[str, User]) -> None:
            gone = users.pop(_existing(users, name).name)
            if gone.role == "admin" and not any(user.role == "admin" for user in users.values()):
                raise BadAccount(f"{name!r} is the last admin. Add another one first.")

        self._change(change)

    def add_token(self, name: str, token: Token) -> None:
        self._replace(name, lambda user: replace(user, tokens=(*user.tokens, token)))

    def remove_token(self, name: str, token_id: str) -> None:
        """Raises BadAccount."""

        def without(user: User) -> User:
            kept = tuple(token for token in user.tokens if token.id != token_id)
            if len(kept) == len(user.tokens):
                raise BadAccount(f"{name!r} has no token {token_id!r}.")
            return replace(user, tokens=kept)

        self._replace(name, without)

    def _replace(self, name: str, new: Callable[[User], User]) -> None:
        def change(users: dict[str, User]) -> None:
            users[name] = new(_existing(users, name))

        self._change(change)

    def _change(self, change: Callable[[dict[str, User]], None]) -> None:
        private_folder(self._path.parent)
        with storing(self._path), FileLock(self._lock, timeout=_LOCK_S):
            users = dict(self._fresh().users)
            change(users)
            content = {"version": _VERSION, "users": [asdict(user) for user in users.values()]}
            replace_private(self._path, json.dumps(content, indent=1).encode() + b"\n")

    def _fresh(self) -> _Content:
        with storing(self._path):
            now = stamp(self._path)
            if now != self._seen:
                self._content = _Content({}, {}) if now is None else _read(self._path)
                self._seen = now
        return self._content


def _existing(users: Mapping[str, User], name: str) -> User:
    if name not in users:
        raise BadAccount(f"There is no user {name!r}. See `heliochrome-gateway user list`.")
    return users[name]


def _generation() -> str:
    return secrets.token_hex(16)


def _read(path: Path) -> _Content:
    refuse_writable_by_others(path)
    try:
        content = json.loads(path.read_bytes())
        if content["version"] != _VERSION:
            raise ValueError(f"its version is {content['version']!r}, expected {_VERSION}")
        users = {user.name: user for user in map(_user, content["users"])}
    except (ValueError, KeyError, TypeError) as error:
        raise StorageFailed(
            f"{path} is not a users file of this gateway ({error!r}). Nobody is let in until it "
            "is restored from a copy, or removed: the next start then makes a first user."
        ) from error
    by_token = {token.sha256: user for user in users.values() for token in user.tokens}
    return _Content(users, by_token)


def _user(entry: Mapping[str, Any]) -> User:
    user = User(**{**entry, "tokens": tuple(Token(**token) for token in entry["tokens"])})
    texts = (user.name, user.hash, user.generation, user.created)
    if user.role not in ROLES or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"the entry of {user.name!r} is not a user")
    return user
