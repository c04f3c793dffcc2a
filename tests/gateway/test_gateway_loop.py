"""The event loop's long limits: cheap, a little late, and otherwise as asyncio's."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from typing import Any

import pytest

from heliochrome_gateway import loops

uvloop = pytest.importorskip("uvloop")

from heliochrome_gateway import quick_loop  # noqa: E402

LONG_S = 0.05
# A limit may be so much late.
LATE_S = 1.0


@pytest.fixture(autouse=True)
def short_is_long(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(quick_loop, "_LONG_S", LONG_S)


def in_loop(work: Any) -> None:
    uvloop.run(work(), loop_factory=quick_loop.QuickLoop)


@pytest.mark.parametrize("absolute", [False, True])
def test_a_long_limit_comes_and_not_too_early(absolute: bool):
    async def work() -> None:
        loop, came = asyncio.get_running_loop(), asyncio.Event()
        begin = loop.time()
        if absolute:
            handle = loop.call_at(begin + 2 * LONG_S, came.set)
        else:
            handle = loop.call_later(2 * LONG_S, came.set)
        assert isinstance(handle, quick_loop._Limit)
        assert not handle.cancelled()
        assert handle.when() == pytest.approx(begin + 2 * LONG_S, abs=0.01)
        await came.wait()
        assert 2 * LONG_S - 0.002 <= loop.time() - begin <= 2 * LONG_S + LATE_S + 0.2

    in_loop(work)


def test_a_short_limit_is_uvloops_own():
    async def work() -> None:
        loop, came = asyncio.get_running_loop(), asyncio.Event()
        assert not isinstance(loop.call_later(LONG_S / 2, came.set), quick_loop._Limit)
        await asyncio.wait_for(came.wait(), 5)

    in_loop(work)


def test_one_that_is_lifted_never_comes_even_in_the_last_moment():
    """Those of one second: the first lifts the second, raises, and the third still comes."""

    async def work() -> None:
        loop, came, told = asyncio.get_running_loop(), [], []
        loop.set_exception_handler(lambda loop, about: told.append(about["exception"]))

        def first() -> None:
            came.append("first")
            second.cancel()
            raise ZeroDivisionError

        # At the same moment, so that they are of one second.
        now = loop.time()
        loop.call_at(now + 0.2, first)
        second = loop.call_at(now + 0.2, came.append, "second")
        before = loop.call_at(now + 0.2, came.append, "before")
        before.cancel()
        loop.call_at(now + 0.2, came.append, "third")
        await asyncio.sleep(LATE_S + 0.4)
        assert came == ["first", "third"]
        assert [type(error) for error in told] == [ZeroDivisionError]
        assert before.cancelled()
        assert second.cancelled()
        assert loop._seconds == {}

    in_loop(work)


def test_a_limit_runs_in_the_context_in_which_it_was_set():
    known: contextvars.ContextVar[str] = contextvars.ContextVar("known", default="")

    async def work() -> None:
        loop, found = asyncio.get_running_loop(), asyncio.Queue[str]()
        known.set("then")
        loop.call_later(2 * LONG_S, lambda: found.put_nowait(known.get()))
        known.set("later")
        assert await found.get() == "then"

    in_loop(work)


def test_what_waits_too_long_is_told_so():
    async def work() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 2 * LONG_S)

    in_loop(work)


def test_the_gateway_takes_it_and_does_without(monkeypatch: pytest.MonkeyPatch):
    found: list[object] = []

    async def work() -> None:
        found.append(type(asyncio.get_running_loop()))

    loops.run(work())
    monkeypatch.setitem(sys.modules, "uvloop", None)
    loops.run(work())
    assert found[0] is quick_loop.QuickLoop
    assert found[1] is not quick_loop.QuickLoop
