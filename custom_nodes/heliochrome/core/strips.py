"""Row strips: whole-image memory is for the photograph, not for its intermediate planes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Final

from .errors import OutOfMemory
from .extent import Extent
from .jobs import Cancel, Progress, never_cancel, no_progress

STRIP_PIXELS: Final = 1 << 18  # a strip's float planes stay in the processor's cache

Rows = tuple[int, int]  # [top, bottom)


@dataclass(frozen=True)
class StripPlan:
    """rows: per strip, by default as many as `STRIP_PIXELS` hold. workers: threads, by default
    one for each processor this process may use. Neither changes a single bit of the result."""

    rows: int | None = None
    workers: int | None = None


DEFAULT_PLAN: Final = StripPlan()


def strips(extent: Extent, rows: int | None = None) -> list[Rows]:
    """[top, bottom) of each strip; together they cover every row once."""
    rows = rows or max(1, STRIP_PIXELS // extent.width)
    return [(top, min(top + rows, extent.height)) for top in range(0, extent.height, rows)]


def over_strips(
    extent: Extent,
    work: Callable[[int, int], None],
    *,
    cancel: Cancel = never_cancel,
    progress: Progress = no_progress,
    plan: StripPlan = DEFAULT_PLAN,
) -> None:
    """Call `work(top, bottom)` for every strip, in threads, in any order.

    `work` must take its memory before it writes anything: a strip that raises MemoryError is
    tried again as two halves, down to single rows. Raises OutOfMemory if one row is too much,
    and whatever `work` or `cancel` raises. `cancel` and `progress` (rows done, rows in all) are
    called in the caller's thread; no strip is being worked on any more when this returns.
    """
    waiting = deque(strips(extent, plan.rows))
    workers = min(plan.workers or _processors(), len(waiting))
    done = 0
    with ThreadPoolExecutor(workers, thread_name_prefix="strips") as pool:
        running: dict[Future[None], Rows] = {}
        while waiting or running:
            cancel()
            while waiting and len(running) < workers:
                rows = waiting.popleft()
                running[pool.submit(work, *rows)] = rows
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                top, bottom = running.pop(future)
                failure = future.exception()
                if isinstance(failure, MemoryError):
                    waiting.extendleft(_halves(top, bottom, extent))
                    continue
                if failure is not None:
                    raise failure
                done += bottom - top
                progress(done, extent.height)


def _halves(top: int, bottom: int, extent: Extent) -> tuple[Rows, Rows]:
    if bottom - top == 1:
        raise OutOfMemory(
            f"There is not enough memory for a single row of the {extent} photograph. "
            "Close other programs, or scale the photograph down."
        )
    middle = (top + bottom) // 2
    return (middle, bottom), (top, middle)


def _processors() -> int:
    if hasattr(os, "process_cpu_count"):  # Python 3.13
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
