"""From which address a request comes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from aiohttp import web

from .settings import GatewaySettings

_Address = IPv4Address | IPv6Address
# The same clients ask again and again.
_REMEMBERED: Final = 1024


def client_address(request: web.Request, settings: GatewaySettings) -> str:
    """The client's address; "unknown" where the connection has none (it is gone already)."""
    forwarded = ",".join(request.headers.getall("X-Forwarded-For", []))
    return behind_proxies(request.remote, forwarded, settings.trusted_proxies)


def behind_proxies(
    peer: str | None, forwarded: str, trusted: Sequence[IPv4Network | IPv6Network]
) -> str:
    """The last address in the chain of hops that no trusted proxy vouches for.

    forwarded: X-Forwarded-For; each proxy appends who came to it, so it is read from its end.
    What a client made up lies in front of the first hop that is not trusted, and is never read.
    """
    found = _parse(peer or "")
    if found is None:
        return "unknown"
    hops = [hop for hop in forwarded.split(",") if hop.strip()]
    while hops and any(found[0] in network for network in trusted):
        before = _parse(hops.pop())
        if before is None:
            break
        found = before
    return found[1]


@lru_cache(_REMEMBERED)
def _parse(text: str) -> tuple[_Address, str] | None:
    """With how it is written. IPv4 clients of a socket that serves both come as
    ::ffff:192.0.2.1: they are IPv4."""
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    address = getattr(address, "ipv4_mapped", None) or address
    return address, str(address)
