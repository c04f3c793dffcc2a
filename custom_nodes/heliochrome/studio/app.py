"""The studio's server as an aiohttp application."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from aiohttp import web

from ..core.disk import FULL
from ..core.errors import HeliochromeError, OutputFailed
from ..manual.web import routes as manual
from . import page
from .answers import error_answer
from .api import ROOT, Api
from .asking import asker
from .database import Database
from .jobs import Jobs
from .keeping import Keeping
from .outbox import Outbox
from .queue import Queue
from .refusals import Refusal
from .self_test import KeptSelfTest
from .settings import StudioSettings
from .shelf import Shelf
from .supervisor import Supervisor
from .upkeep import look_after
from .webhooks import Webhooks

_log = logging.getLogger("heliochrome.studio")

ALIVE: Final = "/healthz"
# For the gateway alone: how photographs ended, until it has written that down.
EVENTS: Final = "/internal/events"
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def create_app(settings: StudioSettings) -> web.Application:
    """The whole server; it starts its worker. Raises OutputFailed where its folder is of no use."""
    base = Database(settings.folder)
    shelf = Shelf(base, settings.max_photo_pixels, settings.max_user_bytes)
    shelf.sweep()
    jobs, queue, outbox = Jobs(base, shelf), Queue(base), Outbox(base)
    self_test = KeptSelfTest(queue)
    self_test.forget()
    webhooks = Webhooks(settings, outbox)
    keeping = Keeping.of(settings)
    api = Api(settings, keeping, shelf, jobs, queue, webhooks)
    # Bodies are read piece by piece, with limits of their own.
    app = web.Application(middlewares=[_told, _let_in(settings.token)], client_max_size=1 << 62)
    app.add_routes([*api.routes(), *page.routes(), *manual()])
    app.add_routes([web.get(ALIVE, _alive), *_events(outbox)])

    async def working(app: web.Application) -> AsyncIterator[None]:
        worker = [sys.executable, "-m", f"{__package__}.worker"]
        supervisor = Supervisor("The studio's worker", worker)
        supervisor.start()
        upkeep = asyncio.create_task(look_after(keeping, jobs, shelf, outbox, webhooks))
        yield
        upkeep.cancel()
        await asyncio.gather(upkeep, return_exceptions=True)
        await supervisor.stop()
        with suppress(OutputFailed):  # it is in the log, and asked for again at the start
            self_test.forget()
        base.close()

    app.cleanup_ctx.append(working)
    return app


async def _alive(request: web.Request) -> web.Response:
    return web.Response(text="alive\n")


def _events(outbox: Outbox) -> list[web.RouteDef]:
    async def show(request: web.Request) -> web.Response:
        return web.json_response({"events": outbox.events()})

    async def forget(request: web.Request) -> web.Response:
        try:
            upto = int(request.query["upto"])
        except (KeyError, ValueError) as error:
            raise Refusal("bad_request", "`upto` must be the number of an event.") from error
        outbox.forget_events(upto)
        return web.Response(status=204)

    return [web.get(EVENTS, show), web.delete(EVENTS, forget)]


def _let_in(token: str) -> Any:
    @web.middleware
    async def let_in(request: web.Request, handler: _Handler) -> web.StreamResponse:
        if request.path != ALIVE:
            request["asker"] = asker(request.headers, token)
        return await handler(request)

    return let_in


@web.middleware
async def _told(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Whatever goes wrong is JSON with a code and a sentence."""
    try:
        return await handler(request)
    except HeliochromeError as error:
        return error_answer(error.code, str(error))
    except OSError as error:
        if error.errno not in FULL:
            raise
        text = "There is no room left on the studio's disk. Tell whoever looks after this machine."
        return error_answer("output_failed", text)
    except web.HTTPNotFound:
        if not request.path.startswith(ROOT):
            raise
        return error_answer("not_found", f"There is no such address. See {ROOT}/openapi.json.")
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        answer = error_answer(
            "method_not_allowed", f"This address takes {allowed}, not {error.method}."
        )
        answer.headers["Allow"] = allowed
        return answer
