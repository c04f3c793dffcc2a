"""Keeps one process running: one that was killed is followed by another."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import signal
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Final

_log = logging.getLogger("heliochrome.studio")

_FIRST_S: Final = 0.5
_LONGEST_S: Final = 30.0
# Longer than this it worked well, so that the next one need not wait.
_WELL_S: Final = 60.0
_END_S: Final = 30.0


_PR_SET_PDEATHSIG: Final = 1  # prctl(2)
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None


def _end_with_parent() -> None:
    """In the new process: it is not to go on alone, holding ports and files, if we are killed."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Supervisor:
    """what: for the log. environ: None for our own. quiet: its stdout goes nowhere; its stderr is
    ours. hopeless: exit codes after which another start would end the same way; `given_up` is then
    set. follow: a terminal's Ctrl-C is for us alone, and on Linux the process gets SIGTERM when we
    are killed; not where other threads of ours may be at work meanwhile. In any case it gets a pipe
    as stdin, which closes then.
    """

    def __init__(
        self,
        what: str,
        command: Sequence[str],
        *,
        environ: Mapping[str, str] | None = None,
        quiet: bool = False,
        hopeless: Collection[int] = (),
        follow: bool = False,
    ) -> None:
        self._what, self._command, self._environ = what, command, environ
        self._hopeless, self._follow = hopeless, follow
        self.given_up = asyncio.Event()
        self._stdout = asyncio.subprocess.DEVNULL if quiet else None
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep())

    def rest(self) -> None:
        """Start it no more."""
        if self._task is not None:
            self._task.cancel()

    async def stop(self) -> None:
        """Ask it to end, with SIGTERM; after a while, end it."""
        self.rest()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), _END_S)
            except asyncio.TimeoutError:
                self._process.kill()
                await self._process.wait()

    async def _keep(self) -> None:
        pause = _FIRST_S
        while True:
            began = time.monotonic()
            try:
                code = await self._run()
            except OSError as error:
                _log.error("%s cannot be started: %s.", self._what, error)
            else:
                if code in self._hopeless:
                    self.given_up.set()
                    return
                _log.warning("%s ended (%d); it is started again.", self._what, code)
            pause = _FIRST_S if time.monotonic() - began > _WELL_S else min(2 * pause, _LONGEST_S)
            await asyncio.sleep(pause)

    async def _run(self) -> int:
        """Its exit code."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=self._stdout,
            env=self._environ,
            start_new_session=self._follow,
            preexec_fn=_end_with_parent if self._follow and _LIBC is not None else None,
        )
        return await self._process.wait()
