"""From which address a request comes."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from aiohttp import web

from .settings import GatewaySettings

_Address = IPv4Address | IPv6Address


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
    address = _parse(peer or "")
    if address is None:
        return "unknown"
    hops = [hop for hop in forwarded.split(",") if hop.strip()]
    while hops and any(address in network for network in trusted):
        before = _parse(hops.pop())
        if before is None:
            break
        address = before
    return str(address)


def _parse(text: str) -> _Address | None:
    """IPv4 clients of a socket that serves both come as ::ffff:192.0.2.1: they are IPv4."""
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
