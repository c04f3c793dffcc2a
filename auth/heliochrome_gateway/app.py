"""The gateway as an aiohttp application: the order in which a request is looked at.

One reading of its address, its origin, who asks, how often, and only then what it is about.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from . import health, login, origin, targets
from .clients import client_address
from .comfyui import ComfyUI
from .errors import Refused, StorageFailed
from .file_requests import FileRequests
from .graphs import Graphs
from .headers import secured
from .identity import Identity
from .limits import Rates, Slots
from .login import AUDIT
from .metrics import METRICS, METRICS_PATH, Metrics
from .ownership import Owners
from .pictures import Pictures
from .proxy import Host, new_session
from .refusals import Denied, answer, not_offered
from .routes import COMFYUI, SOCKETS
from .run_requests import RunRequests
from .runs import Runs
from .settings import GatewaySettings
from .sockets import Sockets
from .studio import Studio
from .uploads import Uploads

_log = logging.getLogger("heliochrome.gateway")

_OWN: Final = frozenset({health.ALIVE, health.READY, METRICS_PATH})
_NOT_KEPT: Final = {"Cache-Control": "no-store"}


def create_app(settings: GatewaySettings) -> web.Application:
    """The whole gateway. Raises GatewayError where its files cannot be used."""
    metrics = Metrics(settings.metrics_token)
    app = web.Application(
        middlewares=[_told(metrics), _let_in(settings)], client_max_size=settings.max_body_bytes
    )
    app[METRICS] = metrics
    login.setup(app, settings)
    app.cleanup_ctx.append(lambda app: _opened(app, settings))

    async def secure_answer(request: web.Request, response: web.StreamResponse) -> None:
        secured(response, secure=settings.secure)

    app.on_response_prepare.append(secure_answer)
    # Methods too are for the rules: what no rule names does not exist.
    app.router.add_route("*", "/{path:.*}", _handle)
    return app


class _Door:
    """What requests are handed to once they are let in."""

    def __init__(self, comfyui: ComfyUI, studio: Studio | None,
                 healthy: health.Health, metrics: Metrics) -> None:  # fmt: skip
        self._comfyui, self._studio = comfyui, studio
        self._own = {
            health.ALIVE: healthy.alive,
            health.READY: healthy.ready,
            METRICS_PATH: metrics.show,
        }

    async def handle(self, request: web.Request) -> web.StreamResponse:
        target: targets.Target = request["target"]
        path = target.path
        if path in _OWN:
            if request.method not in ("GET", "HEAD"):
                raise not_offered()
            return await self._own[path](request)
        if path.startswith(f"{COMFYUI}/"):
            return await self._comfyui.handle(request)
        if path == COMFYUI or (path == "/" and self._studio is None):
            raise web.HTTPTemporaryRedirect(f"{COMFYUI}/", headers=_NOT_KEPT)
        if self._studio is None:
            raise not_offered()
        return await self._studio.handle(request)


_DOOR: Final = web.AppKey("door", _Door)


async def _handle(request: web.Request) -> web.StreamResponse:
    return await request.app[_DOOR].handle(request)


async def _opened(app: web.Application, settings: GatewaySettings) -> AsyncIterator[None]:
    """What needs an event loop, and is closed at the end."""
    owners = Owners(settings.folder / "runs.sqlite")
    async with new_session() as session:
        metrics = app[METRICS]
        host = Host("ComfyUI", settings.upstream, session)
        runs = Runs(host, owners, app[AUDIT], metrics)
        slots = Slots(settings.sockets_at_once, "WebSockets")
        graphs, most = Graphs(settings, owners), settings.max_body_bytes
        pictures = Pictures(settings.max_image_pixels)
        uploads = Uploads(settings.max_upload_bytes, settings.folder, pictures, owners)
        comfyui = ComfyUI(
            settings,
            host,
            RunRequests(host, owners, graphs, runs, most),
            FileRequests(host, owners, uploads, most),
            Sockets(host, owners, slots, metrics, settings.max_message_bytes),
            graphs.allowed,
        )
        hosts, watched = {host: "/prompt"}, [runs.watching(app)]
        studio = None
        if settings.studio is not None:
            behind = Host("The studio", settings.studio, session)
            studio = Studio(settings, behind, app[AUDIT], metrics)
            # It does without ComfyUI, or waits for it.
            hosts = {behind: health.ALIVE}
            watched.append(studio.watching(app))
        app[_DOOR] = _Door(comfyui, studio, health.Health(hosts), metrics)
        for watching in watched:
            await anext(watching)
        try:
            yield
        finally:
            for watching in watched:
                await anext(watching, None)
            owners.close()


def _told(metrics: Metrics) -> Middleware:
    """Whatever goes wrong becomes an answer in words, and a number."""

    @web.middleware
    async def told(request: web.Request, handler: Handler) -> web.StreamResponse:
        began, status = time.perf_counter(), 499  # who asked has gone
        try:
            response = await handler(request)
            status = response.status
            return response
        except Denied as denied:
            status = denied.status
            metrics.refused(denied.rule)
            return await _denied(request, denied)
        except Refused as refused:
            status = 429
            metrics.refused("limit")
            return _too_many(request, refused)
        except StorageFailed as error:
            status = 503
            _log.error("%s", error)
            return answer(request, _not_recorded())
        except web.HTTPException as error:
            status = error.status
            raise
        finally:
            seconds = time.perf_counter() - began
            metrics.answered(request.method, status, seconds, socket=status == 101)

    return told


async def _denied(request: web.Request, denied: Denied) -> web.StreamResponse:
    """In the record if it is known who it was; strangers are counted, so that they cannot fill
    the disk."""
    response: web.StreamResponse = answer(request, denied)
    identity: Identity | None = request.get("identity")
    if identity and denied.recorded:
        try:
            await request.app[AUDIT].write(
                "refusal",
                user=identity.name,
                address=request.get("address", ""),
                method=request.method,
                path=request["target"].path,
                rule=denied.rule,
            )
        except StorageFailed as error:
            _log.error("%s", error)
            return answer(request, _not_recorded())
    if denied.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _let_in(settings: GatewaySettings) -> Middleware:
    rates = Rates(settings.requests_per_s, settings.request_burst)
    slots = Slots(settings.requests_at_once)

    @web.middleware
    async def let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
        target = request["target"] = targets.parse(request.raw_path)
        origin.check(request, settings)
        if login.is_public(request) or target.path in _OWN:
            return await handler(request)
        identity = await login.authenticate(request)
        if identity is None:
            return login.challenge(request)
        request["identity"] = identity
        request["address"] = client_address(request, settings)
        rates.take(identity.name)
        if target.path in SOCKETS:
            return await handler(request)
        with slots.held(identity.name):
            return await handler(request)

    return let_in


def _too_many(request: web.Request, refused: Refused) -> web.Response:
    seconds = max(1, math.ceil(refused.retry_after_s))
    said = Denied(429, "limit", str(refused), f"请求过多。请在 {seconds} 秒后重试。")
    response = answer(request, said)
    response.headers["Retry-After"] = str(seconds)
    return response


def _not_recorded() -> Denied:
    return Denied(
        503,
        "record",
        "Nothing can be done at the moment, as it could not be recorded. Tell whoever looks "
        "after this machine; the gateway's log says why.",
        "暂时无法处理：无法写入审计记录。请联系管理员。",
    )
