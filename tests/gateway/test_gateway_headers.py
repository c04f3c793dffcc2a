"""What goes on to the host, what comes back, and what every answer carries."""

from __future__ import annotations

import pytest
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from heliochrome_gateway.headers import from_host, secured, to_host
from heliochrome_gateway.identity import Identity

ALICE = Identity("alice", "user")


def proxy(*pairs: tuple[str, str]) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(pairs))


@pytest.mark.parametrize(
    "name",
    [
        "comfy-user",
        "Comfy-User",
        "COMFY_USER",
        "Comfy_User",
        "Cookie",
        "Authorization",
        "Forwarded",
        "X-Forwarded-Prefix",
        "X-Real-IP",
        "Via",
        "Origin",
        "Sec-Fetch-Site",
        "X-HTTP-Method-Override",
        "X-Original-URL",
        "Connection",
        "Keep-Alive",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "Expect",
        "Proxy-Authorization",
        "Proxy-Connection",
    ],
)
def test_the_host_does_not_see(name):
    sent = to_host(proxy(("Host", "a.example"), (name, "evil")), ALICE, "192.0.2.7", secure=True)
    assert "evil" not in sent.values()


@pytest.mark.parametrize("name", ["Heliochrome-User", "heliochrome-role", "X-Forwarded-For"])
def test_only_the_gateway_says_who_asks(name):
    sent = to_host(proxy(("Host", "a.example"), (name, "root")), ALICE, "192.0.2.7", secure=False)
    assert "root" not in sent.values()
    assert sent.getall("Heliochrome-User") == ["alice"]
    assert sent.getall("Heliochrome-Role") == ["user"]
    assert sent.getall("X-Forwarded-For") == ["192.0.2.7"]
    assert sent.getall("X-Forwarded-Proto") == ["http"]


def test_what_connection_names_ends_here():
    given = proxy(("Host", "a"), ("Connection", "close, X-Hop"), ("X-Hop", "1"), ("X-End", "2"))
    sent = to_host(given, ALICE, "192.0.2.7", secure=False)
    assert "X-Hop" not in sent
    assert sent["X-End"] == "2"
    assert "X-Hop" not in from_host(given)


def test_the_public_host_and_the_rest_go_on():
    given = proxy(
        ("Host", "photos.example"), ("Accept", "a"), ("Range", "bytes=0-1"), ("X-Two", "1"),
        ("X-Two", "2"), ("Content-Length", "3"), ("If-None-Match", '"e"'),
    )  # fmt: skip
    sent = to_host(given, ALICE, "192.0.2.7", secure=True)
    assert sent["Host"] == "photos.example"
    assert sent.getall("X-Two") == ["1", "2"]
    assert {"Accept", "Range", "Content-Length", "If-None-Match"} <= set(sent)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("Content-Type", True),
        ("Content-Encoding", True),
        ("ETag", True),
        ("Cache-Control", True),
        ("Set-Cookie", False),
        ("Server", False),
        ("Access-Control-Allow-Origin", False),
        ("X-Accel-Redirect", False),
        ("Strict-Transport-Security", False),
        ("Transfer-Encoding", False),
    ],
)
def test_what_comes_back(name, kept):
    assert (name in from_host(proxy((name, "x")))) is kept


def test_every_answer_is_secured_and_a_stricter_policy_stays():
    plain, strict = web.Response(), web.Response(headers={"Content-Security-Policy": "none"})
    secured(plain, secure=True)
    secured(strict, secure=False)
    assert "frame-ancestors 'none'" in plain.headers["Content-Security-Policy"]
    assert plain.headers["X-Content-Type-Options"] == "nosniff"
    assert plain.headers["Referrer-Policy"] == "same-origin"
    assert plain.headers["Strict-Transport-Security"].startswith("max-age=")
    assert "Strict-Transport-Security" not in strict.headers
    assert strict.headers["Content-Security-Policy"] == "none"


def test_the_policy_names_no_other_host():
    response = web.Response()
    secured(response, secure=True)
    policy = response.headers["Content-Security-Policy"]
    assert "http" not in policy
    assert "*" not in policy
