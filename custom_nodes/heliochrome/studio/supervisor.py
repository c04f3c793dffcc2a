"""Keeps one process running: one that was killed is followed by another."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

_log = logging.getLogger("heliochrome.studio")

_FIRST_S: Final = 0.5
_LONGEST_S: Final = 30.0
# Longer than this it worked well, so that the next one need not wait.
_WELL_S: Final = 60.0
_END_S: Final = 30.0


class Supervisor:
    """what: for the log. environ: None for our own. quiet: its stdout goes nowhere; its stderr is
    ours. The process gets a pipe as stdin, which closes when we are killed."""

    def __init__(
        self,
        what: str,
        command: Sequence[str],
        *,
        environ: Mapping[str, str] | None = None,
        quiet: bool = False,
    ) -> None:
        self._what, self._command, self._environ = what, command, environ
        self._stdout = asyncio.subprocess.DEVNULL if quiet else None
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Ask it to end, with SIGTERM; after a while, end it."""
        if self._task is not None:
            self._task.cancel()
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
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=self._stdout,
                env=self._environ,
            )
            code = await self._process.wait()
            pause = _FIRST_S if time.monotonic() - began > _WELL_S else min(2 * pause, _LONGEST_S)
            _log.warning("%s ended (%d); it is started again in %g s.", self._what, code, pause)
            await asyncio.sleep(pause)
