"""uvloop, with long limits that cost little to set and to lift.

A request sets several limits of many seconds and lifts them a moment later. uvloop makes a timer
of the system's library for each, which took a tenth of a small request's time.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, Final, cast

import uvloop

# Limits from here on come up to a second late. (aiohttp rounds its own up likewise.)
_LONG_S: Final = 10.0


class _Limit:
    """As asyncio.TimerHandle. It is one of its second's until it is lifted or has come."""

    __slots__ = ("_args", "_callback", "_second", "_when", "context")

    def __init__(
        self,
        when: float,
        second: dict[_Limit, None],
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: Context,
    ) -> None:
        self._when, self._second, self.context = when, second, context
        self._callback, self._args = callback, args
        second[self] = None

    def when(self) -> float:
        return self._when

    def cancel(self) -> None:
        self._second.pop(self, None)

    def cancelled(self) -> bool:
        return self not in self._second

    def come(self) -> None:
        if self in self._second:
            self.cancel()
            self._callback(*self._args)


class QuickLoop(uvloop.Loop):
    """call_at calls call_later, and so do asyncio's own limits."""

    def __init__(self) -> None:
        super().__init__()
        # Of each second that is to come, one timer for all its limits.
        self._seconds: dict[int, dict[_Limit, None]] = {}

    def call_later(  # type: ignore[override]  # uvloop's own types are not those of typeshed
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        if delay < _LONG_S:
            return super().call_later(delay, callback, *args, context=context)
        when = self.time() + delay
        number = math.ceil(when)
        second = self._seconds.get(number)
        if second is None:
            second = self._seconds[number] = {}
            super().call_later(number - when + delay, self._come, number)
        limit = _Limit(when, second, callback, args, context or copy_context())
        return cast(asyncio.TimerHandle, limit)

    def _come(self, number: int) -> None:
        # Each on its own, as one may raise, or lift another one.
        for limit in tuple(self._seconds.pop(number)):
            self.call_soon(limit.come, context=limit.context)
