"""The studio's worker: a process of its own that takes photographs from the queue, one by one.

If it is killed, its server starts another one, which goes on where this one was. It ends when its
server does: their pipe closes then.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from typing import Final, TypeVar

from filelock import FileLock, Timeout

from ..core.disk import FULL
from ..core.errors import BadSetting, Cancelled, HeliochromeError, OutOfMemory, OutputFailed
from ..core.jobs import Cancel, Progress
from .database import Database
from .engine import Engine, EngineAway
from .processing import work_on
from .queue import Queue
from .records import Failure, Order, Photo
from .self_test import KeptSelfTest
from .settings import StudioSettings
from .shelf import Shelf

_log = logging.getLogger("heliochrome.studio")

T = TypeVar("T")

_IDLE_S: Final = 0.25
_AWAY_S: Final = 2.0
_MOVE_S: Final = 0.25
_LOCK_S: Final = 30.0


class Stopping(Cancelled):
    """The worker is to end; the photograph waits for the next one."""


class Worker:
    def __init__(self, settings: StudioSettings, engine: Engine, stop: threading.Event) -> None:
        base = Database(settings.folder)
        self._queue = Queue(base)
        self._shelf = Shelf(base, settings.max_photo_pixels, settings.max_user_bytes)
        self._engine, self._stop = engine, stop
        self._self_test = KeptSelfTest(self._queue) if settings.self_test else None
        self._put_off = ""  # why the self-test waits, as it was last said
        self._said: str | None = None  # what the page shows, once we have said something

    def run(self) -> None:
        """Until `stop` is set."""
        self._noted(self._recover)
        while not self._stop.is_set():
            if self._noted(self._queue.positions):
                if self._is_ready() and (found := self._noted(self._queue.next)) is not None:
                    self._one(*found)
                continue
            self._say("")
            if self._self_test is None:
                self._stop.wait(_IDLE_S)
            else:
                self._examine(self._self_test)
        self._engine.close()

    def _examine(self, self_test: KeptSelfTest) -> None:
        """While there are no photographs to do. It also gets the model ready for the first one."""

        def cancel() -> None:
            if self._stop.is_set() or self._queue.positions():
                raise Stopping("The self-test makes way.")

        try:
            self._engine.ready()
            outcomes = self_test.make(self._engine, cancel)
        except Stopping:
            return
        except (EngineAway, OutputFailed) as error:
            if str(error) != self._put_off:
                self._put_off = str(error)
                _log.warning("The self-test waits: %s", error)
            self._stop.wait(_AWAY_S)
            return
        self._self_test = None
        for outcome in outcomes:
            _log.log(logging.INFO if outcome.good else logging.ERROR, "Self-test, %s", outcome)

    def _recover(self) -> None:
        for photo in self._queue.begun():
            self._shelf.leave_only_original(photo)
            self._queue.broke_off(photo)

    def _is_ready(self) -> bool:
        """Whether there is something to do the work."""
        try:
            self._engine.ready()
        except EngineAway as error:
            self._say(str(error))
            self._stop.wait(_AWAY_S)
            return False
        self._say("")
        return True

    def _one(self, photo: Photo, order: Order) -> None:
        """What nobody foresaw ends the worker, with its cause in the log: see `Queue.broke_off`."""
        folder = self._shelf.folder(photo.id)
        progress, cancel = self._watching(photo)
        try:
            made = work_on(photo, order, folder, self._engine, progress, cancel)
        except Stopping:
            self._noted(partial(self._queue.put_back, photo))
        except Cancelled:
            self._noted(partial(self._queue.cancelled, photo))
        except EngineAway as error:
            leave = self._queue.broke_off if error.begun else self._queue.put_back
            self._noted(partial(leave, photo))
            self._say(str(error))
            self._stop.wait(_AWAY_S)
        except HeliochromeError as error:
            self._failed(photo, error.code, str(error))
        except MemoryError:
            self._failed(photo, OutOfMemory.code, "Not enough memory. Close other programs.")
        except OSError as error:
            full = error.errno in FULL
            code = OutputFailed.code if full else HeliochromeError.code
            advice = "Free some room on the disk, then try again." if full else "Try again."
            self._failed(photo, code, f"{error.strerror or error}. {advice}")
        else:
            self._noted(partial(self._queue.done, photo, made))

    def _failed(self, photo: Photo, code: str, text: str) -> None:
        """Paths are nobody's business but the operator's."""
        _log.warning("Photograph %s: %s", photo.id, text)
        self._shelf.leave_only_original(photo, view=code != OutputFailed.code)
        folder = f"{self._shelf.folder(photo.id)}{os.sep}"
        shown = text.replace(f"{folder}{photo.stored}", photo.name).replace(folder, "")
        self._noted(partial(self._queue.failed, photo, Failure(code, shown)))

    def _noted(self, change: Callable[[], T]) -> T | None:
        """What `change` gives, as soon as the disk takes it. None where the worker is to end: the
        next one then finds the photograph as one that was begun."""
        while True:
            try:
                return change()
            except OutputFailed as error:
                _log.error("%s", error)
            if self._stop.wait(_AWAY_S):
                return None

    def _watching(self, photo: Photo) -> tuple[Progress, Cancel]:
        """Progress and cancel through the database, and not more often than anybody looks."""
        state = {"progress": 0.0, "at": time.monotonic()}

        def cancel() -> None:
            if self._stop.is_set():
                raise Stopping("The worker ends.")
            if time.monotonic() - state["at"] < _MOVE_S:
                return
            state["at"] = time.monotonic()
            try:
                stopped = self._queue.move(photo, state["progress"])
            except OutputFailed:
                return  # it is in the log; the work goes on, and is asked again
            if stopped:
                raise Cancelled("Its owner stopped it.")

        def progress(done: int, total: int) -> None:
            state["progress"] = max(state["progress"], done / total)

        return progress, cancel

    def _say(self, waiting: str) -> None:
        if waiting == self._said:
            return
        with suppress(OutputFailed):  # it is in the log
            self._queue.tell_engine(waiting=waiting)
            self._said = waiting
            if waiting:
                _log.warning("%s", waiting)


def open_engine(settings: StudioSettings) -> Engine:
    if settings.comfyui is not None:
        from .comfyui_engine import ComfyUIEngine

        return ComfyUIEngine(settings.comfyui, settings.model)
    from .local_engine import LocalEngine

    return LocalEngine(settings.model, settings.backend)


def main() -> int:
    """Work until the server's end of stdin closes, or SIGTERM. 2 where it cannot begin."""
    logging.basicConfig(format="heliochrome studio worker: %(message)s")
    logging.getLogger("heliochrome").setLevel(logging.INFO)
    try:
        _work(StudioSettings.from_environ())
    except BadSetting as error:
        _log.error("%s", error)
        return 2
    return 0


def _work(settings: StudioSettings) -> None:
    """Alone with its folder. Raises BadSetting."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C goes to all; the server asks
    threading.Thread(target=_until_closed, args=(stop,), daemon=True).start()
    with ExitStack() as stack:
        try:
            stack.enter_context(FileLock(settings.folder / "worker.lock", timeout=_LOCK_S))
        except Timeout as error:
            raise BadSetting(
                f"Another studio works in {settings.folder}. Let HELIOCHROME_STUDIO_FOLDER name "
                "another folder, or end that one."
            ) from error
        Worker(settings, open_engine(settings), stop).run()


def _until_closed(stop: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 1):  # past Python's own buffer, which is locked at the end
        pass
    stop.set()


if __name__ == "__main__":
    raise SystemExit(main())
