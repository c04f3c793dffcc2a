"""The studio's listening socket: from the settings to a server that answers, and back."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Final

from aiohttp import web
from filelock import FileLock, Timeout

from ..core.errors import BadSetting
from .app import create_app
from .database import OWNER_ONLY
from .settings import StudioSettings, variable

_SHUTDOWN_S: Final = 5.0


async def serve(settings: StudioSettings, say: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM. say: gets each line for the operator. Raises BadSetting and
    OutputFailed where it cannot begin."""
    with ExitStack() as alone:
        try:
            settings.folder.mkdir(parents=True, exist_ok=True, mode=OWNER_ONLY)
            alone.enter_context(FileLock(settings.folder / "server.lock", timeout=0))
        except OSError as error:
            raise BadSetting(
                f"{variable('folder')} names {settings.folder}, which cannot be written to: "
                f"{error.strerror or error}."
            ) from error
        except Timeout as error:
            raise BadSetting(
                f"Another studio is at work in {settings.folder}. Let {variable('folder')} name "
                "another folder, or end that one."
            ) from error
        await _serve(settings, say)


async def _serve(settings: StudioSettings, say: Callable[[str], None]) -> None:
    runner = web.AppRunner(
        create_app(settings),
        access_log=None,  # file names are nobody's business; the gateway records who did what
        shutdown_timeout=_SHUTDOWN_S,
        handler_cancellation=True,  # of an upload whose sender has gone nothing stays behind
        auto_decompress=False,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.listen_host, settings.listen_port)
        try:
            await site.start()
        except OSError as error:
            raise BadSetting(
                f"Cannot listen on {settings.listen_host}, port {settings.listen_port}: "
                f"{error.strerror or error}. Let {variable('listen_port')} name a free one."
            ) from error
        stop = _stop_on_signals()
        for host, port, *_ in runner.addresses:
            say(f"The studio is at http://{f'[{host}]' if ':' in host else host}:{port}")
        await stop.wait()
    finally:
        await runner.cleanup()


def _stop_on_signals() -> asyncio.Event:
    """Before the address is told: whoever reads it may stop us at once."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl-C raises there
            loop.add_signal_handler(number, stop.set)
    return stop
