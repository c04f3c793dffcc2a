"""Whether a request comes from a page of ours: cross-site request forgery, and WebSockets.

Cookies are SameSite=Strict already; this holds also for a page on a neighbouring host name, and
for WebSockets, which no same-origin policy covers (RFC 6455, 10.2).
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from .refusals import Denied
from .settings import GatewaySettings

_SAFE: Final = frozenset({"GET", "HEAD"})
_OURS: Final = frozenset({"same-origin", "none"})  # none: the person, not a page


def check(request: web.Request, settings: GatewaySettings) -> None:
    """Raises Denied. A request that no browser sends (no Origin, no Sec-Fetch-Site) passes."""
    origins = request.headers.getall("Origin", [])
    if len(origins) > 1 or len(request.headers.getall("Host", [])) != 1:
        raise _foreign("more than one Origin, or not exactly one Host")
    allowed = not origins or _is_ours(origins[0], request, settings)
    if not allowed:
        raise _foreign(origins[0])
    site = request.headers.get("Sec-Fetch-Site")
    if site is None or site in _OURS or (origins and allowed):
        return
    # Following a link from elsewhere is welcome; loading our pictures or data there is not.
    followed = (
        request.method in _SAFE
        and request.headers.get("Sec-Fetch-Mode") == "navigate"
        and request.headers.get("Sec-Fetch-Dest") == "document"
    )
    if not followed:
        raise _foreign(site)


def _is_ours(origin: str, request: web.Request, settings: GatewaySettings) -> bool:
    scheme = "https" if settings.secure else "http"
    own = f"{scheme}://{request.headers.get('Host', '').lower()}"
    usual = ":443" if settings.secure else ":80"
    return origin in (own, own.removesuffix(usual), *settings.allowed_origins)


def _foreign(what: str) -> Denied:
    return Denied(
        403,
        "origin",
        f"This request comes from another site ({what[:80]!r}). Open the gateway's own page; for "
        "another of your sites set HELIOCHROME_GATEWAY_ALLOWED_ORIGINS.",
        "此请求来自其他网站。请打开网关自己的页面。",
    )
