"""Signing in and out, and who is asking: what the rest of the gateway uses of the accounts.

setup(app, settings)          in the app's factory: adds /login and /logout, opens the record
await authenticate(request)   Identity, or None: then return `challenge(request)`
still_welcome(request)        later, for what stays open: a WebSocket
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable
from typing import Final
from urllib.parse import quote

from aiohttp import web

from . import credentials
from .accounts import Accounts
from .audit import AuditLog
from .clients import client_address
from .credentials import Basic, Bearer
from .errors import LockedOut, StorageFailed, TooBusy
from .identity import Identity
from .settings import GatewaySettings
from .sign_in import LOGIN, LOGOUT, SignIn
from .tokens import PREFIX

_log = logging.getLogger("heliochrome.gateway")

# The record, for whoever has something to add to it.
AUDIT: Final = web.AppKey("audit", AuditLog)
_STILL: Final = "heliochrome_still"
_REALM: Final = "Heliochrome"


class _Login:
    def __init__(self, settings: GatewaySettings, audit: AuditLog) -> None:
        self.settings = settings
        self.accounts = Accounts(settings, audit)
        self.pages = SignIn(settings, self.accounts)
        self.routes: frozenset[web.AbstractRoute] = frozenset()


_LOGIN: Final = web.AppKey("login", _Login)


def setup(app: web.Application, settings: GatewaySettings) -> None:
    """Add the sign-in routes and everything `authenticate` needs. Raises GatewayError."""
    audit = app[AUDIT] = AuditLog(settings.audit_path, settings.audit_file_bytes)
    login = app[_LOGIN] = _Login(settings, audit)
    login.routes = frozenset(
        app.router.add_routes(
            [
                web.head(LOGIN, login.pages.show),
                web.get(LOGIN, login.pages.show, allow_head=False),
                web.post(LOGIN, login.pages.sign_in),
                web.post(LOGOUT, login.pages.sign_out),
            ]
        )
    )

    async def recorded(app: web.Application) -> AsyncIterator[None]:
        await audit.write("start")
        try:
            yield
            await audit.write("stop")
        finally:
            login.accounts.close()
            audit.close()

    app.cleanup_ctx.append(recorded)


def is_public(request: web.Request) -> bool:
    """Whether this is for one of our own handlers, which need no identity.

    By route, not by path: what is spelt alike but handled elsewhere is not public.
    """
    return request.match_info.route in request.app[_LOGIN].routes


async def authenticate(request: web.Request) -> Identity | None:
    """Who sends this request, by session cookie, Basic or Bearer; None: nobody we know.

    A good cookie goes first, so that nothing beside it can lock out who is signed in.
    Raises web.HTTPTooManyRequests (locked out) and web.HTTPServiceUnavailable (too many checks
    wait, or a file cannot be used), with Retry-After.
    """
    login = request.app[_LOGIN]
    try:
        session_id = request.cookies.get(login.pages.session_cookie)
        if session_id and (identity := _by_session(request, session_id)):
            return identity
        headers = request.headers.getall("Authorization", [])
        given = credentials.parse(headers[0]) if len(headers) == 1 else None
        identity = await _by_credentials(request, given) if given else None
        if given and identity is None:
            await asyncio.sleep(login.settings.refusal_pause_s)
        return identity
    except (LockedOut, TooBusy) as error:
        await asyncio.sleep(login.settings.refusal_pause_s)
        kind = web.HTTPTooManyRequests if isinstance(error, LockedOut) else _Unavailable
        raise kind(text=f"{error}\n", headers=_after(error.retry_after_s)) from error
    except StorageFailed as error:
        _log.error("%s", error)
        raise _Unavailable(
            text="Nobody can be let in at the moment; the gateway's log says why.\n",
            headers=_after(_REPAIR_S),
        ) from error


def still_welcome(request: web.Request) -> bool:
    """Whether what `authenticate` accepted would still be; an idle session stays idle.

    False also where the users file cannot be read. Only for a request that was authenticated.
    """
    still: Callable[[], bool] = request[_STILL]
    try:
        return still()
    except StorageFailed as error:
        _log.error("%s", error)
        return False


def challenge(request: web.Request) -> web.Response:
    """What a request without an identity gets: a browser's navigation goes to /login, all else
    is answered 401 with the ways to authenticate (RFC 9110, 15.5.2).

    To a page's own requests Basic is not offered: the browser would open its password box.
    """
    mode = request.headers.get("Sec-Fetch-Mode")
    page = "text/html" in request.headers.get("Accept", "")
    if request.method in ("GET", "HEAD") and (mode == "navigate" or (mode is None and page)):
        target = quote(request.raw_path, safe="/")
        return web.Response(status=303, headers={"Location": f"{LOGIN}?next={target}", **_NEVER})
    response = web.Response(
        status=401,
        text="Sign in at /login, or send a name and a password (Basic) or a token (Bearer).\n",
        headers=_NEVER,
    )
    response.headers.add("WWW-Authenticate", f'Bearer realm="{_REALM}"')
    if mode is None:
        response.headers.add("WWW-Authenticate", f'Basic realm="{_REALM}", charset="UTF-8"')
    return response


_Unavailable: Final = web.HTTPServiceUnavailable
_NEVER: Final = {"Cache-Control": "no-store"}
_REPAIR_S: Final = 30.0


def _after(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(seconds))), **_NEVER}


def _by_session(request: web.Request, session_id: str) -> Identity | None:
    accounts = request.app[_LOGIN].accounts
    request[_STILL] = lambda: accounts.by_session(session_id, use=False) is not None
    return accounts.by_session(session_id)


async def _by_credentials(request: web.Request, given: Basic | Bearer) -> Identity | None:
    """Bearer is a token, or the id of a session of a program that signed in with the form."""
    login = request.app[_LOGIN]
    accounts, address = login.accounts, client_address(request, login.settings)
    if isinstance(given, Basic):
        user = await accounts.by_password(given.name, given.password, address, "basic")
        if user is None:
            return None
        request[_STILL] = lambda: accounts.is_current(user)
        return user.identity
    if not given.token.startswith(PREFIX):
        return _by_session(request, given.token)
    request[_STILL] = lambda: accounts.has_token(given.token)
    return await accounts.by_token(given.token, address)
