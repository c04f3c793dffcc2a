"""Alibaba Function Compute: the HTTP server of a custom container, in front of the core.

Function Compute turns everything into HTTP requests to one port, and says with x-fc-control-path
what each is: /http-invoke (somebody called the HTTP trigger; path and method are theirs),
/invoke (an event, or a call of InvokeFunction) or /initialize. Callers cannot set that header:
x-fc-* is the platform's. Written by its rules as of November 2026, not yet run there:
help.aliyun.com/document_detail/179369.html (requests) and .../2640316.html (headers).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from aiohttp import web

from ..core.errors import HeliochromeError, shown
from . import journal
from .core import handle, refuse
from .deadline import Deadline
from .oss_events import colorize_event, is_oss_event
from .refusals import Refusal
from .request import HandlerRequest, safe_id
from .responses import JSON_TYPE, HandlerResponse, json_response
from .service import the_service
from .settings import ENVELOPE

# Function Compute's limit for a request that waits for its answer, and for that answer.
PAYLOAD: Final = 32 * 1024 * 1024

# The settings' own defaults are Lambda's.
LIMITS: Final[Mapping[str, int]] = {
    "HELIOCHROME_MAX_REQUEST_BYTES": PAYLOAD,
    "HELIOCHROME_MAX_RESPONSE_BYTES": PAYLOAD - ENVELOPE,
}

_HOST: Final = "0.0.0.0"  # it calls from outside the container
_PORT: Final = 9000
# It keeps connections for later requests, and asks for no less than a quarter of an hour.
_KEEP_ALIVE_S: Final = 3600.0
# After SIGTERM nothing new is taken, and what has begun is finished: longer than any function runs.
_FINISH_S: Final = 86_400.0

_PLAIN: Final = "identity"
_CONTROL: Final = "x-fc-control-path"
_EVENT, _INITIALIZE = "/invoke", "/initialize"
_LIMIT, _INITIALIZE_LIMIT = "x-fc-function-timeout", "x-fc-initialization-timeout"

# The function's role, as temporary credentials that come with every request and replace older ones.
_CREDENTIALS: Final[Mapping[str, str]] = {
    "x-fc-access-key-id": "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "x-fc-access-key-secret": "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "x-fc-security-token": "ALIBABA_CLOUD_SECURITY_TOKEN",
}


def make_app() -> web.Application:
    """The server's application; it opens no model before the first request."""
    app = web.Application(
        client_max_size=PAYLOAD,
        middlewares=[_structured],
        # Refused by us: what is not as it says would be answered by the server, in its own words.
        handler_args={"auto_decompress": False},
    )
    app.router.add_route("*", "/{path:(?s:.*)}", _answer)
    return app


@web.middleware
async def _structured(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """What the server itself refuses, in our words."""
    error: Exception
    try:
        return await handler(request)
    except Refusal as refusal:
        error = refusal
    except web.HTTPRequestEntityTooLarge:
        error = Refusal("request_too_large", f"At most {PAYLOAD} bytes are taken.")
    except web.RequestPayloadError:
        error = Refusal("bad_request", "The body is cut off or badly formed.")
    except web.HTTPException as refused:
        error = Refusal("bad_request", f"No such request is answered: {refused.reason}.")
    response = refuse(error, _request_id(request))
    is_event = request.headers.get(_CONTROL) in (_EVENT, _INITIALIZE)
    return _event(response) if is_event else _http(response)


async def _answer(request: web.Request) -> web.StreamResponse:
    arrived = time.monotonic()
    _take_credentials(request.headers)
    encoding = request.headers.get("content-encoding", _PLAIN)
    if encoding.strip().lower() != _PLAIN:
        raise Refusal(
            "unsupported_media_type",
            f"Expected a body without Content-Encoding, got {shown(encoding)}.",
        )
    request_id = _request_id(request)
    control = request.headers.get(_CONTROL)
    limit = _INITIALIZE_LIMIT if control == _INITIALIZE else _LIMIT
    deadline = _deadline(request.headers.get(limit), arrived)
    body = await request.read()
    if control == _EVENT:
        return _event(await asyncio.to_thread(_invoke, body, request_id, deadline))
    if control == _INITIALIZE:
        return _event(await asyncio.to_thread(_initialize, request_id, deadline))
    asked = HandlerRequest(
        body=body,
        method=request.method,
        accept=request.headers.get("accept"),
        content_type=request.headers.get("content-type"),
        request_id=request_id,
    )
    return _http(await asyncio.to_thread(handle, asked, deadline=deadline))


def _request_id(request: web.Request) -> str:
    return safe_id(request.headers.get("x-fc-request-id"))


def _invoke(body: bytes, request_id: str, deadline: float | None) -> HandlerResponse:
    """An event of OSS, or else the JSON of a request."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None  # the core says what is wrong with it
    if not is_oss_event(document):
        return handle(HandlerRequest(body=body, request_id=request_id), deadline=deadline)
    found = colorize_event(document, request_id=request_id, deadline=deadline)
    objects = [
        {
            "source": item.source,
            "target": item.target,
            "status": item.status,
            "code": item.code,
        }
        for item in found
    ]
    failed = next((item.code for item in found if item.status == "failed"), None)
    return json_response(500 if failed else 200, {"objects": objects}, code=failed)


def _initialize(request_id: str, deadline: float | None) -> HandlerResponse:
    """Open the network that this function is for, so that the first caller need not wait for it.

    What is set up wrongly is then said when an instance starts, and not to a caller.
    """
    try:
        service = the_service()
        cancel = Deadline(deadline, service.settings.deadline_margin_s)
        service.run(service.open_models, cancel)
    except HeliochromeError as error:
        return refuse(error, request_id)
    return json_response(200, {})


def _event(response: HandlerResponse) -> web.Response:
    """Of an event's answer only the body reaches anybody. That it failed, so that it is tried
    again and kept in the end, is said by the status 404 and x-fc-status."""
    good = response.status < 400
    headers = {"content-type": response.headers.get("content-type", JSON_TYPE)}
    headers["x-fc-status"] = "200" if good else "404"
    return web.Response(status=200 if good else 404, body=response.body, headers=headers)


def _http(response: HandlerResponse) -> web.Response:
    return web.Response(status=response.status, body=response.body, headers=response.headers)


def _take_credentials(headers: Mapping[str, str]) -> None:
    given = {variable: headers.get(name, "") for name, variable in _CREDENTIALS.items()}
    if all(given.values()):
        os.environ.update(given)


def _deadline(limit: str | None, arrived: float) -> float | None:
    """limit: the header's text, seconds; None where the caller is not Function Compute."""
    try:
        seconds = float(limit or "")
    except ValueError:
        return None
    return arrived + seconds if math.isfinite(seconds) and seconds > 0 else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C; a request that has begun is finished first."""
    parser = argparse.ArgumentParser(prog="python -m heliochrome.handlers.alibaba_fc")
    parser.add_argument("--host", default=_HOST, help=f"address to listen at ({_HOST})")
    parser.add_argument("--port", type=int, default=_PORT, help=f"port to listen at ({_PORT})")
    args = parser.parse_args(arguments)
    journal.start()
    for variable, most in LIMITS.items():
        os.environ.setdefault(variable, str(most))
    journal.tell("listening", host=args.host, port=args.port)
    options: dict[str, Any] = {"access_log": None, "print": None}
    web.run_app(
        make_app(),
        host=args.host,
        port=args.port,
        keepalive_timeout=_KEEP_ALIVE_S,
        shutdown_timeout=_FINISH_S,
        **options,
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
