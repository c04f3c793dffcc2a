"""Signing in and out, and who is asking: what the rest of the gateway uses of the accounts.

setup(app, settings)          in the app's factory: adds /login and /logout, opens the record
await authenticate(request)   Identity, or None: then return `challenge(request)`
"""

from __future__ import annotations

from aiohttp import web

from .identity import Identity
from .settings import GatewaySettings


def setup(app: web.Application, settings: GatewaySettings) -> None:
    """Add the sign-in routes and everything `authenticate` needs. Raises GatewayError."""
    raise NotImplementedError


async def authenticate(request: web.Request) -> Identity | None:
    """Who sends this request, by session cookie, Basic or Bearer; None: nobody we know.

    Raises web.HTTPTooManyRequests (locked out) and web.HTTPServiceUnavailable (too many checks
    wait, or the users file cannot be read), both with Retry-After.
    """
    raise NotImplementedError


def challenge(request: web.Request) -> web.Response:
    """What a request without an identity gets: a browser's navigation goes to /login, all else
    is answered 401 with the ways to authenticate (RFC 9110, 15.5.2)."""
    raise NotImplementedError
