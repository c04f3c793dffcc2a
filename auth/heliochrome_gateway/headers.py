"""Header hygiene: what goes on to the host, what comes back, and what every answer carries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy, istr

from .identity import Identity

# RFC 9110, 7.6.1: for one connection only.
_HOP: Final = frozenset(
    [
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
        "expect",
    ]
)
# What the host believes of whoever connects to it, and what is between a browser and us only.
_FROM_CLIENTS: Final = frozenset(
    [
        "authorization",
        "cookie",
        "forwarded",
        "origin",
        "via",
        "x-real-ip",
        "x-original-url",
        "x-rewrite-url",
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "host",
    ]
)
_FROM_CLIENTS_BEGIN: Final = ("x-forwarded-", "sec-", "heliochrome-", "comfy-")
_FROM_HOST: Final = frozenset(
    ["server", "set-cookie", "date", "alt-svc", "strict-transport-security", "clear-site-data"]
)
_FROM_HOST_BEGIN: Final = ("access-control-", "heliochrome-", "x-accel-", "x-powered-")
_NAME: Final = re.compile(r"[A-Za-z0-9-]+")
# Of names; the same few come with every request.
_REMEMBERED: Final = 1024

# ComfyUI's frontend compiles its templates, has inline scripts and styles, and reads its own
# pictures and workers from blobs. Nothing comes from elsewhere, and nothing goes elsewhere.
POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
_EVERY: Final[Mapping[istr, str]] = {
    istr("Content-Security-Policy"): POLICY,
    istr("X-Content-Type-Options"): "nosniff",
    # A cache between us and the browser must not show one user's pictures to another.
    istr("Cache-Control"): "private, no-cache",
    istr("X-Frame-Options"): "DENY",  # for what does not know frame-ancestors
    istr("Referrer-Policy"): "same-origin",
    istr("Cross-Origin-Opener-Policy"): "same-origin",
    istr("Cross-Origin-Resource-Policy"): "same-origin",
    istr("Permissions-Policy"): "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_HSTS: Final = "max-age=31536000"  # RFC 6797; one year


def to_host(
    given: CIMultiDictProxy[str], identity: Identity, address: str, *, secure: bool
) -> CIMultiDict[str]:
    """What the host gets to see. Who asks is told in our words, never in the client's."""
    listed = _listed(given)
    kept: CIMultiDict[str] = CIMultiDict()
    for name, value in given.items():
        if _goes_on(name) and not (listed and name.lower() in listed):
            kept.add(name, value)
    if host := given.get("Host"):
        kept["Host"] = host
        kept["X-Forwarded-Host"] = host
    kept["X-Forwarded-For"] = address
    kept["X-Forwarded-Proto"] = "https" if secure else "http"
    kept["Heliochrome-User"] = identity.name
    kept["Heliochrome-Role"] = identity.role
    return kept


def from_host(given: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """What the browser gets of the host's headers."""
    listed = _listed(given)
    kept: CIMultiDict[str] = CIMultiDict()
    for name, value in given.items():
        if _comes_back(name) and not (listed and name.lower() in listed):
            kept.add(name, value)
    return kept


def secured(response: web.StreamResponse, *, secure: bool) -> None:
    """Add what every answer carries, where a page has nothing stricter of its own."""
    for name, value in _EVERY.items():
        response.headers.setdefault(name, value)
    if secure:
        response.headers["Strict-Transport-Security"] = _HSTS
    # aiohttp's own name and version is of use only to those who look for a hole in it.
    response.headers["Server"] = "heliochrome"


@lru_cache(_REMEMBERED)
def _goes_on(name: str) -> bool:
    low = name.lower()
    # An underscore: some readers take Comfy_User and Comfy-User for the same.
    if low in _HOP or low in _FROM_CLIENTS or not _NAME.fullmatch(low):
        return False
    return not low.startswith(_FROM_CLIENTS_BEGIN)


@lru_cache(_REMEMBERED)
def _comes_back(name: str) -> bool:
    low = name.lower()
    return low not in _HOP and low not in _FROM_HOST and not low.startswith(_FROM_HOST_BEGIN)


def _listed(given: CIMultiDictProxy[str]) -> frozenset[str]:
    """The headers that Connection names: for one connection only, too."""
    if "Connection" not in given:
        return frozenset()
    return frozenset(
        item.strip().lower() for line in given.getall("Connection") for item in line.split(",")
    )
