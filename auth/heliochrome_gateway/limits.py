"""How fast, and how much at once, each user may ask."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from .errors import TooMany

# Users who asked lately; one forgotten has a full bucket, so it must have had time to fill.
_REMEMBERED: Final = 10_000
_SLOT_S: Final = 1.0


class Rates:
    """A token bucket for each user: `burst` requests at once, then `per_s` a second."""

    def __init__(
        self, per_s: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_s, self._burst, self._clock = per_s, burst, clock
        # How many requests are left, and when that was true.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> None:
        """Let one request pass. Raises TooMany; what is refused costs nothing."""
        now = self._clock()
        left, then = self._buckets.get(name, (float(self._burst), now))
        left = min(float(self._burst), left + (now - then) * self._per_s)
        if left < 1:
            raise TooMany(
                f"More than {self._per_s:g} requests a second. Ask more slowly.",
                (1 - left) / self._per_s,
            )
        self._buckets[name] = (left - 1, now)
        self._buckets.move_to_end(name)
        while len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)


class Slots:
    """At most `most` of something at once for each user. what: for the message, in the plural."""

    def __init__(self, most: int, what: str = "requests") -> None:
        self._most, self._what = most, what
        self._held: Counter[str] = Counter()

    def held(self, name: str) -> AbstractContextManager[None]:
        """To be entered with `with`, which raises TooMany."""
        return _Slot(self, name)

    def take(self, name: str) -> None:
        """Raises TooMany."""
        if self._held[name] >= self._most:
            raise TooMany(
                f"More than {self._most} {self._what} at the same time. Let some end first.",
                _SLOT_S,
            )
        self._held[name] += 1

    def give_back(self, name: str) -> None:
        self._held[name] -= 1
        if not self._held[name]:
            del self._held[name]


class _Slot:
    def __init__(self, slots: Slots, name: str) -> None:
        self._slots, self._name = slots, name

    def __enter__(self) -> None:
        self._slots.take(self._name)

    def __exit__(self, *error: object) -> None:
        self._slots.give_back(self._name)
