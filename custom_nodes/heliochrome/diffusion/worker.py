"""One thread that does the work, while its callers can still be heard and interrupted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from ..core.jobs import Cancel, never_cancel

_Result = TypeVar("_Result")
_TICK: Final = 0.05  # seconds between two looks at `cancel`; a step takes longer, on real models
_END: Final = object()

Tell = Callable[[Any], None]


def _unheard(said: Any) -> None:
    """For jobs that say nothing."""


class Worker:
    """Jobs run one after another, in the order they came: this is the one lock of a runtime.

    A job runs on the worker's thread; what it tells is heard, and `cancel` is asked, on the
    caller's. So Ctrl-C works at once, a host's callbacks run where it expects them, and whatever
    they raise can do no harm to the runtime.
    """

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)

    def run(
        self,
        job: Callable[[Tell, threading.Event], _Result],
        hear: Tell = _unheard,
        cancel: Cancel = never_cancel,
    ) -> _Result:
        """The job's result. Raises what the job, `hear` or `cancel` raises.

        In the last two cases the job's event is set and nobody waits for it: it ends when it
        looks, or never starts, and the next one starts after it.
        """
        said: SimpleQueue[Any] = SimpleQueue()
        stop = threading.Event()
        future = self._pool.submit(job, said.put, stop)
        future.add_done_callback(lambda _: said.put(_END))
        try:
            while True:
                cancel()
                try:
                    word = said.get(timeout=_TICK)
                except Empty:
                    continue
                if word is _END:
                    return future.result()
                hear(word)
        finally:
            stop.set()
            future.cancel()

    def leave(self, last: Callable[[], None]) -> None:
        """`close` without waiting: `last` is done after the job that runs, then the thread ends."""
        self._pool.submit(last)
        self._pool.shutdown(wait=False)

    def close(self) -> None:
        """Wait for the job that runs, and end the thread."""
        self._pool.shutdown()
