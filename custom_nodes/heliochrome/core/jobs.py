"""How long work reports and stops: two protocols, one no-op each."""

from __future__ import annotations

from typing import Final, Protocol

_FINE: Final = 1000  # steps that one part of a whole is divided into


class Progress(Protocol):
    """Called as work goes on; `done` grows from 0 to `total` (same unit for both)."""

    def __call__(self, done: int, total: int) -> None: ...


class Cancel(Protocol):
    """Called between steps; raises (`Cancelled`, or the host's own exception) to stop the work."""

    def __call__(self) -> None: ...


def no_progress(done: int, total: int) -> None:
    """Progress for callers that show none."""


def never_cancel() -> None:
    """Cancel for work that cannot be stopped."""


def part(progress: Progress, start: float, end: float) -> Progress:
    """The progress of one part of a whole, which lies from `start` to `end` in [0, 1]."""

    def report(done: int, total: int) -> None:
        progress(round(_FINE * (start + (end - start) * done / total)), _FINE)

    return report
