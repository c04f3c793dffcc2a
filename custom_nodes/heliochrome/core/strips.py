"""Row strips: whole-image memory is for the photograph, not for its intermediate planes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Final

import cv2

from .cores import usable_cores
from .errors import OutOfMemory
from .extent import Extent
from .full_memory import says_out_of_memory
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
    workers = min(plan.workers or usable_cores(), len(waiting))
    done = 0
    with ThreadPoolExecutor(workers, thread_name_prefix="strips") as pool:
        running: dict[Future[None], Rows] = {}
        while waiting or running:
            cancel()
            while waiting and len(running) < workers:
                rows = waiting.popleft()
                running[_started(pool, work, rows)] = rows
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                top, bottom = running.pop(future)
                if _had_memory(future):
                    done += bottom - top
                    progress(done, extent.height)
                else:
                    waiting.extendleft(_halves(top, bottom, extent))
            del future  # a failed one holds the memory that its strip had taken


def _started(
    pool: ThreadPoolExecutor, work: Callable[[int, int], None], rows: Rows
) -> Future[None]:
    try:
        return pool.submit(work, *rows)
    except RuntimeError as error:  # no room for the stack of a thread, or no more are allowed
        raise OutOfMemory(
            f"not enough memory to work on the photograph ({error}): close other programs."
        ) from error


def _had_memory(future: Future[None]) -> bool:
    try:
        future.result()
    except (MemoryError, cv2.error) as error:
        if not says_out_of_memory(error):
            raise
        return False
    return True


def _halves(top: int, bottom: int, extent: Extent) -> tuple[Rows, Rows]:
    if bottom - top == 1:
        raise OutOfMemory(
            f"There is not enough memory for a single row of the {extent} photograph. "
            "Close other programs, or scale the photograph down."
        )
    middle = (top + bottom) // 2
    return (middle, bottom), (top, middle)
