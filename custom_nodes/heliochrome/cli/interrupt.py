"""Ctrl-C as a request that work answers between two steps."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ..core.jobs import Cancel


@contextmanager
def answering_interrupt() -> Iterator[Cancel]:
    """Give a `Cancel` that raises KeyboardInterrupt after Ctrl-C.

    An exception out of the signal itself can be swallowed: libraries call back into Python
    from C, where it is only printed. A second Ctrl-C still raises at once.
    """
    asked = False
    before = signal.getsignal(signal.SIGINT)

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, before)

    def cancel() -> None:
        if asked:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, ask)
    try:
        yield cancel
    finally:
        signal.signal(signal.SIGINT, before)
