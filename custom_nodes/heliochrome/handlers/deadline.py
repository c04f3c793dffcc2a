"""The time that is left before the platform ends the process."""

from __future__ import annotations

import time

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

    def left(self) -> float | None:
        """Seconds, 0 at least; None for no end."""
        return None if self._at is None else max(0.0, self._at - time.monotonic())

    def pause(self, seconds: float) -> None:
        """Wait so long, or as long as there is time. Raises OutOfTime."""
        left = self.left()
        time.sleep(seconds if left is None else min(seconds, left))
        self()
