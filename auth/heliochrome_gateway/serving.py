"""The listening socket: from the settings to a gateway that answers, and back."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from aiohttp import web

from .errors import BadSetting, GatewayError
from .settings import GatewaySettings
from .tls import Certificates

_log = logging.getLogger("heliochrome.gateway")

# How long a connection may be open without a whole request's head: longer than a person's
# network takes, shorter than what makes slow heads (slow-loris) worth sending.
_HEAD_S: Final = 30.0
_SHUTDOWN_S: Final = 10.0
_REFRESH_S: Final = 60.0


async def serve(
    app: web.Application, settings: GatewaySettings, say: Callable[[str], None]
) -> None:
    """Serve until SIGINT or SIGTERM; SIGHUP: look for a new certificate now.

    say: gets each line for the operator. Raises GatewayError where it cannot begin.
    """
    certificates = Certificates(settings) if settings.tls != "none" else None
    runner = web.AppRunner(
        app,
        access_log=None,  # the record says who did what; paths may hold more than it should
        keepalive_timeout=_HEAD_S,
        shutdown_timeout=_SHUTDOWN_S,
        handler_cancellation=True,  # a client who has gone wants nothing from upstream
        auto_decompress=False,  # bodies pass as they came: nothing unpacks a bomb on the way
    )
    await runner.setup()
    try:
        site = web.TCPSite(
            runner,
            settings.listen_host,
            settings.listen_port,
            ssl_context=certificates.context if certificates else None,
        )
        try:
            await site.start()
        except OSError as error:
            raise BadSetting(
                f"Cannot listen on {settings.listen_host}, port {settings.listen_port}: "
                f"{error.strerror or error}. Let HELIOCHROME_GATEWAY_LISTEN_PORT name a free one."
            ) from error
        # What was imported stays. Looking through it for garbage held requests up for a while.
        gc.collect()
        gc.freeze()
        stop, again = _on_signals()
        for address in runner.addresses:
            say(f"Heliochrome is at {_written(address, certificates is not None)}")
        await _until(stop, certificates, again)
    finally:
        await runner.cleanup()


def _on_signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Stop, and look for a new certificate. Before the address is told: whoever reads it may
    send one at once."""
    loop, stop, again = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    for number, event in (
        (signal.SIGINT, stop),
        (signal.SIGTERM, stop),
        (getattr(signal, "SIGHUP", None), again),
    ):
        if number is not None:
            with suppress(NotImplementedError):  # Windows: Ctrl-C raises there
                loop.add_signal_handler(number, event.set)
    return stop, again


async def _until(
    stop: asyncio.Event, certificates: Certificates | None, again: asyncio.Event
) -> None:
    if certificates is None:
        await stop.wait()
        return
    refreshing = asyncio.create_task(_refresh(certificates, again))
    try:
        await stop.wait()
    finally:
        refreshing.cancel()


async def _refresh(certificates: Certificates, again: asyncio.Event) -> None:
    while True:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(again.wait(), _REFRESH_S)
        again.clear()
        try:
            certificates.refresh()
        except GatewayError as error:
            _log.error("The old TLS certificate stays in use: %s", error)


def _written(address: tuple[str, int] | tuple[str, int, int, int], tls: bool) -> str:
    host, port = address[0], address[1]
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}/"
