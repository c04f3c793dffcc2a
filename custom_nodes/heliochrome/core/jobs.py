"""How long work reports and stops: two protocols, one no-op each."""

from __future__ import annotations

from typing import Protocol


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
