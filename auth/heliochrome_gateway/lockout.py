"""Wrong passwords cost time: growing delays, by address and by account."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final

from .errors import LockedOut
from .settings import GatewaySettings

# Of each kind; the one unused for longest is forgotten first.
_REMEMBERED: Final = 20_000
# One subscriber usually has a /64 of IPv6 (RFC 6177), so that is one address here.
_SUBSCRIBER_BITS: Final = 64


@dataclass
class _Failures:
    count: int = 0
    locked_until: float = 0.0
    forgotten_at: float = 0.0


class Lockout:
    """Asked only where a password is to be checked: who is signed in is never locked out.

    An attempt is counted when it begins, so that many at once are no way around it; one that
    comes while locked is refused and not counted. An account is also locked for addresses that
    failed never, as guesses come from many; but not for one where it signed in before, so that
    nobody can lock a user out of their own home.
    """

    def __init__(self, settings: GatewaySettings, clock: Callable[[], float] = time.monotonic):
        self._settings = settings
        self._clock = clock
        self._failures: dict[str, OrderedDict[str, _Failures]] = {
            "address": OrderedDict(),
            "account": OrderedDict(),
        }
        self._homes: OrderedDict[tuple[str, str], None] = OrderedDict()

    def begin(self, address: str, account: str) -> float:
        """Count an attempt. Returns for how many seconds the next one will be locked if this one
        fails (0: not locked). Raises LockedOut."""
        self.require_open(address, account)
        now = self._clock()
        return max(self._count(kind, key, now) for kind, key in self._keys(address, account))

    def require_open(self, address: str, account: str) -> None:
        """Raise LockedOut while locked. Nothing is counted."""
        now = self._clock()
        keys = self._keys(address, account)
        wait = max(self._entry(kind, key, now).locked_until for kind, key in keys) - now
        if wait > 0:
            raise LockedOut(
                f"Too many wrong passwords. Try again in {_in_words(wait)}; who is signed in "
                "already can go on.",
                wait,
            )

    def succeeded(self, address: str, account: str) -> None:
        """The attempt was right. What else came from the address stays counted: whoever has an
        account could otherwise guess at others' without end."""
        now = self._clock()
        place = _subscriber(address)
        self._take_back("address", place, now)
        self._failures["account"].pop(account, None)
        self._homes[place, account] = None
        self._homes.move_to_end((place, account))
        _shorten(self._homes)

    def withdrawn(self, address: str, account: str) -> None:
        """The attempt came to nothing: it was neither right nor wrong."""
        now = self._clock()
        for kind, key in self._keys(address, account):
            self._take_back(kind, key, now)

    def _keys(self, address: str, account: str) -> list[tuple[str, str]]:
        place = _subscriber(address)
        keys = [("address", place)]
        if account and (place, account) not in self._homes:
            keys.append(("account", account))
        return keys

    def _entry(self, kind: str, key: str, now: float) -> _Failures:
        entries = self._failures[kind]
        entry = entries.get(key)
        if entry is None or entry.forgotten_at <= now:
            entry = entries[key] = _Failures()
        entries.move_to_end(key)
        _shorten(entries)
        return entry

    def _count(self, kind: str, key: str, now: float) -> float:
        entry = self._entry(kind, key, now)
        entry.count += 1
        delay = self._delay(entry.count)
        entry.locked_until = now + delay
        entry.forgotten_at = now + delay + self._settings.lockout_forget_s
        return delay

    def _take_back(self, kind: str, key: str, now: float) -> None:
        entry = self._entry(kind, key, now)
        entry.count = max(0, entry.count - 1)
        entry.locked_until = min(entry.locked_until, now)

    def _delay(self, count: int) -> float:
        """0 for the first `lockout_free`, then doubling. Bounded before it is raised: 2**5000
        is no float."""
        beyond = count - self._settings.lockout_free
        if beyond < 0:
            return 0.0
        first, most = self._settings.lockout_first_s, self._settings.lockout_max_s
        return min(most, first * 2.0 ** min(beyond, 64))


@lru_cache(_REMEMBERED)
def _subscriber(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(IPv6Address(int(parsed) >> _SUBSCRIBER_BITS << _SUBSCRIBER_BITS))
    return address


def _in_words(seconds: float) -> str:
    whole = max(1, round(seconds))
    return f"{whole} s" if whole < 120 else f"{round(whole / 60)} min"


def _shorten(entries: OrderedDict[str, _Failures] | OrderedDict[tuple[str, str], None]) -> None:
    while len(entries) > _REMEMBERED:
        entries.popitem(last=False)
