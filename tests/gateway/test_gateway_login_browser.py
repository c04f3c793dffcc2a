"""Signing in with Debian's chromium, over TLS, on a phone's screen, with the keyboard."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from login_server import PASSWORD, running_login

from driving import drive

pytestmark = pytest.mark.browser

LIMIT_S = 120
LOCKED_S = 6


@pytest.mark.parametrize(
    ("language", "wrong", "locked"),
    [("en-GB", "is not right", "Please wait"), ("zh-CN", "不正确", "请等待")],
)
def test_a_person_signs_in_and_out(tmp_path: Path, language: str, wrong: str, locked: str) -> None:
    with running_login(
        tmp_path, tls="self-signed", lockout_free=2, lockout_first_s=LOCKED_S
    ) as login:
        url = login.address.replace("127.0.0.1", "localhost")
        order = {"url": url, "language": language, "name": "Ben", "password": PASSWORD}
        order |= {"free": 2, "wait": LOCKED_S * 1000}
        found = drive("sign_in.mjs", order, LIMIT_S)
    first = found["first"]
    assert first["path"] == "/login?next=/photo%3Fn%3D1" and first["language"] == language[:2]
    assert first["focused"] == "name" and first["styled"] and not first["wide"]
    assert wrong in found["wrong"]["alert"] and found["wrong"]["name"] == "Ben"
    assert locked in found["locked"]["alert"]
    assert found["inside"]["path"] == "/photo?n=1"
    assert json.loads(found["inside"]["text"]) == {"name": "ben", "role": "user"}
    for cookie in found["cookies"]:
        assert cookie["name"].startswith("__Host-heliochrome-")
        assert cookie["secure"] and cookie["httpOnly"] and cookie["sameSite"] == "Strict"
        assert cookie["expires"] == -1
    assert found["after"]["path"] == "/photo?n=2", "another site cannot sign anybody out"
    assert found["followed"]["path"] == "/photo?n=4", "a link from elsewhere leads in"
    assert found["out"]["path"] == "/login"
    assert found["again"]["path"].startswith("/login?next=")
    followed = found["followedOut"]
    assert followed["path"] == "/login?next=%2Fphoto%3Fn%3D5&again=1" and followed["styled"]
    assert found["violations"] == [] and found["hosts"] == [url]
