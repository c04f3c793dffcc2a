"""The time that is left before the platform ends the process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .refusals import OutOfTime


class Deadline:
    """A `Cancel` (core/jobs.py): called between steps, it raises OutOfTime once time is up.

    at: by `time.monotonic()`, None for no end. margin_s: left for answering.
    """

    def __init__(self, at: float | None, margin_s: float) -> None:
        self._at = None if at is None else at - margin_s

    def __call__(self) -> None:
        if self._at is not None and time.monotonic() >= self._at:
            raise OutOfTime("The time this function is given is over.")

    @contextmanager
    def turn(self, lock: threading.Lock) -> Iterator[None]:
        """The lock, waited for no longer than there is time. Raises OutOfTime."""
        self()
        left = -1 if self._at is None else max(0.0, self._at - time.monotonic())
        if not lock.acquire(timeout=left):
            raise OutOfTime("Another request took all the time.")
        try:
            self()
            yield
        finally:
            lock.release()
