from __future__ import annotations

from ipaddress import ip_network

import pytest

from heliochrome_gateway.clients import behind_proxies

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("::1")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("::1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("10.0.0.1", "10.0.0.3,10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "6.6.6.6, nonsense", "10.0.0.1"),
        ("10.0.0.1", " , ,", "10.0.0.1"),
        ("::ffff:10.0.0.1", "::ffff:192.0.2.1", "192.0.2.1"),
        (None, "6.6.6.6", "unknown"),
        ("", "6.6.6.6", "unknown"),
    ],
)
def test_only_a_trusted_proxy_says_who_is_behind_it(
    peer: str | None, forwarded: str, address: str
) -> None:
    assert behind_proxies(peer, forwarded, TRUSTED) == address
