"""Work in a process of its own, for libraries that cannot be stopped from outside."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, TypeVar

from .errors import BackendUnavailable, HeliochromeError, OutOfMemory
from .jobs import Cancel, Progress

T = TypeVar("T")

_ASKED_EVERY: Final = 0.2  # seconds between two questions whether to stop
_KILLED: Final = -9  # exit code of a process that the system ended with SIGKILL


def in_child(
    name: str, work: Callable[..., T], *args: object, progress: Progress, cancel: Cancel
) -> T:
    """`work(*args, progress)` in a fresh process, which ends at once when `cancel` raises.

    work: a function of a module; it, `args` and the result are pickled. name: what runs there,
    for the messages. Raises the HeliochromeError that `work` raised, OutOfMemory, and
    BackendUnavailable if the process broke off; then Python's own report is on stderr.
    """
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_serve, args=(sender, work, *args), daemon=True)
    with receiver:
        with sender, _interrupts_held_back():
            child.start()
        try:
            result: T = _answer(name, receiver, child, progress, cancel)
            return result
        finally:
            child.kill()
            child.join()


@contextmanager
def muted(library: str) -> Iterator[None]:
    """For `work`: without what a library logs and draws on stdout, which is for results."""
    logging.getLogger(library).setLevel(logging.ERROR)
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        yield


def _answer(
    name: str, receiver: Connection[Any, Any], child: Any, progress: Progress, cancel: Cancel
) -> Any:
    while True:
        cancel()
        if not receiver.poll(_ASKED_EVERY):
            continue
        try:
            kind, value = receiver.recv()
        except EOFError:
            break
        if kind == "progress":
            progress(*value)
        elif kind == "error":
            raise value
        else:
            return value
    child.join()
    if child.exitcode == _KILLED:
        raise OutOfMemory(
            f"the system ended {name}, most likely for want of memory: close other programs, "
            "choose a smaller size, or name fewer photographs."
        )
    raise BackendUnavailable(f"{name} broke off (exit code {child.exitcode}): see above.")


def _serve(sender: Connection[Any, Any], work: Callable[..., T], *args: object) -> None:
    """In the child. Other exceptions end it with Python's own report."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is asked, and ends this process

    def progress(done: int, total: int) -> None:
        sender.send(("progress", (done, total)))

    try:
        sender.send(("result", work(*args, progress)))
    except HeliochromeError as error:
        sender.send(("error", error))
    except MemoryError:
        sender.send(("error", OutOfMemory("not enough memory: close other programs.")))


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """A terminal sends Ctrl-C to every process: a child started in here does not get it.

    This process gets a Ctrl-C from meanwhile at the end. Windows has no such masks.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Python starts this helper before its first child, and then lets the signal in again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
