"""The handlers of /login and /logout: a name and a password into a session's cookie."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from typing import Final
from urllib.parse import parse_qsl, urlencode

from aiohttp import web

from .accounts import Accounts
from .clients import client_address
from .errors import LockedOut, StorageFailed, TooBusy
from .login_page import LoginPage, Message
from .settings import GatewaySettings

_log = logging.getLogger("heliochrome.gateway")

LOGIN: Final = "/login"
LOGOUT: Final = "/logout"
_AGAIN: Final = "again"
_FORM_BYTES: Final = 8192
_FORM_S: Final = 10.0
_FORM_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")


class SignIn:
    def __init__(self, settings: GatewaySettings, accounts: Accounts) -> None:
        self._settings, self._accounts = settings, accounts
        self._page = LoginPage()
        # The prefix makes browsers take the cookie from nobody but this very host, over TLS.
        prefix = "__Host-" if settings.secure else ""
        self.session_cookie = f"{prefix}heliochrome-session"
        self._form_cookie = f"{prefix}heliochrome-form"

    async def show(self, request: web.Request) -> web.StreamResponse:
        target = local_path(request.query.get("next", ""))
        if self._accounts.by_session(request.cookies.get(self.session_cookie, ""), use=False):
            raise web.HTTPSeeOther(target)
        if request.headers.get("Sec-Fetch-Site") == "cross-site" and _AGAIN not in request.query:
            # Who followed a link on another site may be signed in all the same: the browser
            # keeps Strict cookies to itself until a page of ours asks.
            query = urlencode({"next": target, _AGAIN: "1"})
            return self._page.asking_again(f"{LOGIN}?{query}")
        return self._again(request, target)

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        form = await _read_form(request)
        if form is None:
            return self._again(request, "/", "unreadable", status=400)
        target, name = local_path(form.get("next", "")), form.get("name", "")
        sent, kept = form.get("form", ""), request.cookies.get(self._form_cookie, "")
        # Another site can send this form but can neither read nor set the cookie.
        if not _FORM_TOKEN.fullmatch(kept) or not secrets.compare_digest(
            sent.encode(errors="surrogateescape"), kept.encode()
        ):
            return self._again(request, target, "stale", name, status=400)
        address = client_address(request, self._settings)
        try:
            user = await self._accounts.by_password(name, form.get("password", ""), address, "page")
            if user is None:
                await asyncio.sleep(self._settings.refusal_pause_s)
                return self._again(request, target, "wrong", name, status=403)
            await self._end_session(request)
            session_id = self._accounts.begin_session(user)
        except LockedOut as error:
            await asyncio.sleep(self._settings.refusal_pause_s)
            return self._again(request, target, "locked", name, 429, error.retry_after_s)
        except TooBusy as error:
            await asyncio.sleep(self._settings.refusal_pause_s)
            return self._again(request, target, "busy", name, 503, error.retry_after_s)
        except StorageFailed as error:
            _log.error("%s", error)
            return self._again(request, target, "broken", name, status=503)
        response = web.HTTPSeeOther(target, headers={"Cache-Control": "no-store"})
        self._set(response, self.session_cookie, session_id)
        return response

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        response = web.HTTPSeeOther(LOGIN, headers={"Cache-Control": "no-store"})
        if self.session_cookie not in request.cookies:
            # Another site's form comes without the cookie, and must not take it away either.
            return response
        await self._end_session(request)
        # Photographs seen in this session do not stay in the browser's cache.
        response.headers["Clear-Site-Data"] = '"cache"'
        response.del_cookie(
            self.session_cookie,
            path="/",
            httponly=True,
            secure=self._settings.secure,
            samesite="Strict",
        )
        return response

    async def _end_session(self, request: web.Request) -> None:
        if session_id := request.cookies.get(self.session_cookie):
            address = client_address(request, self._settings)
            await self._accounts.end_session(session_id, address)

    def _again(
        self,
        request: web.Request,
        target: str,
        message: Message = "",
        name: str = "",
        status: int = 200,
        wait_s: float = 0.0,
    ) -> web.Response:
        """The page, with a form token: the browser's own, so that two tabs both work."""
        token = request.cookies.get(self._form_cookie, "")
        if not _FORM_TOKEN.fullmatch(token):
            token = secrets.token_urlsafe(32)
        response = self._page.response(
            request,
            form=token,
            next_path=target,
            message=message,
            name=name,
            status=status,
            wait_s=wait_s,
        )
        self._set(response, self._form_cookie, token)
        return response

    def _set(self, response: web.StreamResponse, name: str, value: str) -> None:
        """Without an age: it ends with the browser, or sooner on the server."""
        secure = self._settings.secure
        response.set_cookie(name, value, path="/", httponly=True, secure=secure, samesite="Strict")


def local_path(text: str) -> str:
    """`text` if it is a path on this host, else "/": a link to the login page leads nowhere else.

    Browsers take a backslash for a slash and drop control characters (WHATWG URL, 4.4).
    """
    good = text.startswith("/") and not text.startswith(("//", LOGIN, LOGOUT))
    good = good and text.isascii() and text.isprintable() and "\\" not in text
    return text if good else "/"


async def _read_form(request: web.Request) -> dict[str, str] | None:
    """None: not the form of the page, too large, or too slow in coming."""
    if request.content_type != "application/x-www-form-urlencoded":
        return None
    try:
        body = await asyncio.wait_for(_read_at_most(request, _FORM_BYTES), _FORM_S)
        return dict(parse_qsl(body.decode("ascii"), errors="strict", max_num_fields=10))
    except (asyncio.TimeoutError, ValueError):
        return None


async def _read_at_most(request: web.Request, size: int) -> bytes:
    """Raises ValueError if there is more."""
    body = b""
    while chunk := await request.content.read(size):
        body += chunk
        if len(body) > size:
            raise ValueError(f"more than {size} bytes")
    return body
