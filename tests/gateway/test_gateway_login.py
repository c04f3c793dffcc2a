"""Signing in and out of a real gateway process."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from browsing import FORM, Browser
from login_server import PASSWORD, RunningLogin, command, environment, running_login

URLENCODED = FORM["Content-Type"]
SESSION, LOGIN_FORM = "heliochrome-session", "heliochrome-form"


@pytest.fixture(scope="module")
def login(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLogin]:
    """One for all tests that lock nobody out: wrong passwords are free here."""
    with running_login(tmp_path_factory.mktemp("login"), lockout_free=100) as running:
        yield running


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def record(running: RunningLogin) -> list[dict[str, Any]]:
    tail = running.command("audit", "tail", "-n", "1000")
    return [json.loads(line) for line in tail.splitlines()]


def test_a_browser_signs_in_goes_on_and_signs_out(login: RunningLogin) -> None:
    browser = Browser(login.address)
    answer = browser.ask("GET", "/some/page?a=1", Accept="text/html", Sec_Fetch_Mode="navigate")
    assert (answer.status, answer.location) == (303, "/login?next=/some/page%3Fa%3D1")
    answer = browser.sign_in("ben", target="/some/page?a=1")
    assert (answer.status, answer.location) == (303, "/some/page?a=1")
    cookie = next(c for c in answer.headers.get_all("Set-Cookie") or [] if SESSION in c)
    assert re.search(r"=[A-Za-z0-9_-]{43};", cookie)
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert not re.search(r"Max-Age|Expires|Domain|Secure", cookie)
    assert json.loads(browser.ask("GET", "/who").text) == {"name": "ben", "role": "user"}
    assert browser.ask("GET", "/login?next=/x").location == "/x"
    assert browser.ask("HEAD", "/login?next=/x").location == "/x"
    kept = dict(browser.cookies)
    answer = browser.ask("POST", "/logout")
    assert (answer.status, answer.location) == (303, "/login")
    assert SESSION not in browser.cookies
    browser.cookies = kept
    assert browser.ask("GET", "/who").status == 401, "the server has ended it, too"


def test_a_second_sign_in_ends_the_session_before(login: RunningLogin) -> None:
    browser = Browser(login.address)
    browser.sign_in("ben")
    before = dict(browser.cookies)
    # The page sends on who is signed in; but the form may still be open in another tab.
    body = urlencode({"form": browser.cookies[LOGIN_FORM], "name": "ada", "password": PASSWORD})
    assert browser.ask("POST", "/login", body, Content_Type=URLENCODED).status == 303
    assert json.loads(browser.ask("GET", "/who").text)["name"] == "ada"
    assert Browser(login.address, cookies=before).ask("GET", "/who").status == 401


@pytest.mark.parametrize(
    ("headers", "status", "offered"),
    [
        ({"Accept": "text/html"}, 303, None),
        ({"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}, 303, None),
        ({"Accept": "*/*"}, 401, ["Bearer", "Basic"]),
        ({"Accept": "*/*", "Sec-Fetch-Mode": "cors"}, 401, ["Bearer"]),
        ({"Accept": "image/png", "Sec-Fetch-Mode": "no-cors"}, 401, ["Bearer"]),
    ],
)
def test_who_is_nobody_is_sent_to_the_page_or_told_how(
    login: RunningLogin, headers: dict[str, str], status: int, offered: list[str] | None
) -> None:
    answer = Browser(login.address, headers).ask("GET", "/")
    assert answer.status == status
    assert answer.headers["Cache-Control"] == "no-store"
    schemes = [c.split()[0] for c in answer.headers.get_all("WWW-Authenticate") or []]
    assert schemes == (offered or [])


@pytest.mark.parametrize(
    ("language", "spoken"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,en;q=0.9,zh;q=0.5", "en"),
        ("zh;q=0.1, en;q=0.9", "en"),
        ("de", "en"),
        ("", "en"),
        ("zh;q=x, ;;;,", "en"),
    ],
)
def test_the_page_is_in_the_readers_language(
    login: RunningLogin, language: str, spoken: str
) -> None:
    answer = Browser(login.address).ask("GET", "/login", Accept_Language=language)
    assert f'<html lang="{spoken}">' in answer.text
    assert ("密码" in answer.text) == (spoken == "zh")


def test_the_page_needs_no_script_and_nothing_from_elsewhere(login: RunningLogin) -> None:
    answer = Browser(login.address).ask("GET", "/login")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert "<script" not in answer.text and "http" not in answer.text
    assert len(answer.text) < 5000
    for label in ("name", "password"):
        assert f'<label for="{label}">' in answer.text


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example/",
        "https://evil.example/",
        "/\\evil.example",
        "\\\\evil",
        "x",
        "/\t/evil",
        "",
    ],
)
def test_the_page_leads_nowhere_else(login: RunningLogin, target: str) -> None:
    assert Browser(login.address).sign_in("ben", target=target).location == "/"


def test_what_the_visitor_typed_is_shown_as_text(login: RunningLogin) -> None:
    answer = Browser(login.address).sign_in('"><script>x</script>', "no")
    assert answer.status == 403 and "<script>" not in answer.text
    answer = Browser(login.address).sign_in("ben", target='/"><script>x</script>')
    assert answer.status == 303
    for site in ("same-origin", "cross-site"):
        page = Browser(login.address).ask(
            "GET", "/login?next=/%22%3E%3Cscript%3E", Sec_Fetch_Site=site
        )
        assert page.status == 200 and "script" in page.text and "<script>" not in page.text


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ben", "wrong"),
        ("ben", ""),
        ("", ""),
        ("nobody", PASSWORD),
        ("ben", PASSWORD + " "),
        ("ben", PASSWORD.upper()),
        ("ben", "x" * 5000),
        ("ben\0", PASSWORD),
        ("光", PASSWORD),
    ],
)
def test_a_wrong_password_says_only_that_something_is_wrong(
    login: RunningLogin, name: str, password: str
) -> None:
    answer = Browser(login.address).sign_in(name, password)
    assert answer.status == 403 and 'role="alert"' in answer.text
    assert "The name or the password is not right" in answer.text
    assert SESSION not in (answer.headers["Set-Cookie"] or "")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("name=ben&password=x&form=", URLENCODED),
        ("form=" + "a" * 43 + f"&name=ben&password={PASSWORD}", URLENCODED),
        ("", URLENCODED),
        ("{}", "application/json"),
        ("name=%ff", URLENCODED),
        ("&".join(f"f{n}=1" for n in range(50)), URLENCODED),
        ("name=" + "x" * 100_000, URLENCODED),
        (b"name=\xff\xfe", URLENCODED),
    ],
)
def test_a_form_that_is_not_ours_signs_nobody_in(
    login: RunningLogin, body: str | bytes, content_type: str
) -> None:
    answer = Browser(login.address).ask("POST", "/login", body, Content_Type=content_type)
    assert answer.status == 400 and "sign in once more" in answer.text


def test_a_form_larger_than_ours_is_not_read_to_its_end(login: RunningLogin) -> None:
    for filling, status in ((0, 303), (20_000, 400)):
        browser = Browser(login.address)
        browser.ask("GET", "/login")
        body = urlencode({"form": browser.cookies[LOGIN_FORM], "name": "ben",
                          "password": PASSWORD, "more": "x" * filling})  # fmt: skip
        answer = browser.ask("POST", "/login", body, Content_Type=URLENCODED)
        assert answer.status == status


def test_the_form_of_another_site_is_refused(login: RunningLogin) -> None:
    """It can send its own form token, but the victim's browser keeps another or none."""
    stranger = Browser(login.address)
    page = stranger.ask("GET", "/login").text
    form = re.findall(r'name="form" value="([^"]*)"', page)[0]
    body = urlencode({"form": form, "name": "ben", "password": PASSWORD})
    victim = Browser(login.address)
    assert victim.ask("POST", "/login", body, Content_Type=URLENCODED).status == 400
    victim.ask("GET", "/login")
    assert victim.ask("POST", "/login", body, Content_Type=URLENCODED).status == 400
    assert SESSION not in victim.cookies


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_our_own_handlers_are_public(login: RunningLogin, method: str) -> None:
    for path in ("/logout", "/login/", "/login/x", "//login", "/%6cogin/x"):
        assert Browser(login.address).ask(method, path).status == 401, path


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (basic("ben", PASSWORD), 200),
        ("bAsIc " + basic("ben", PASSWORD).split()[1], 200),
        (basic(" Ben ", PASSWORD), 200),
        (basic("ben", "wrong"), 401),
        (basic("", ""), 401),
        ("Basic " + base64.b64encode(b"ben").decode(), 401),
        ("Basic " + base64.b64encode(b"\xff:\xff").decode(), 401),
        ("Basic ???", 401),
        ("Basic", 401),
        ("Bearer", 401),
        ("Bearer x", 401),
        ("Bearer heliochrome_x", 401),
        ("Digest username=ben", 401),
        (PASSWORD, 401),
    ],
)
def test_programs_authenticate(login: RunningLogin, given: str, status: int) -> None:
    assert Browser(login.address).ask("GET", "/who", Authorization=given).status == status


def test_a_session_is_a_bearer_token_too(login: RunningLogin) -> None:
    browser = Browser(login.address)
    browser.sign_in("ben")
    given = f"Bearer {browser.cookies[SESSION]}"
    assert Browser(login.address).ask("GET", "/who", Authorization=given).status == 200


def test_a_token_is_good_until_it_is_removed(login: RunningLogin) -> None:
    token = login.command("token", "add", "ben").splitlines()[0]
    given, browser = f"Bearer {token}", Browser(login.address)
    assert json.loads(browser.ask("GET", "/who", Authorization=given).text)["name"] == "ben"
    shown = json.loads(login.command("user", "list", "--json"))
    token_id = next(user["tokens"] for user in shown if user["name"] == "ben")[0]["id"]
    login.command("token", "remove", "ben", token_id)
    assert browser.ask("GET", "/who", Authorization=given).status == 401
    assert (
        token not in (Path(login.environ["HELIOCHROME_GATEWAY_FOLDER"]) / "users.json").read_text()
    )


def test_a_session_ends_with_its_password_and_so_does_its_socket(tmp_path: Path) -> None:
    with running_login(tmp_path) as login:
        browser, other = Browser(login.address), Browser(login.address)
        browser.sign_in("ben")
        other.sign_in("ada")

        async def watch() -> int | None:
            given = {"Cookie": f"{SESSION}={browser.cookies[SESSION]}"}
            async with aiohttp.ClientSession() as client:
                socket = await client.ws_connect(f"{login.address}/socket", headers=given)
                assert (await socket.receive_str()) == "welcome"
                login.command("user", "passwd", "ben", "--stdin", stdin="another good one")
                async for message in socket:
                    assert message.data == "welcome"
                return socket.close_code

        assert asyncio.run(asyncio.wait_for(watch(), 20)) == 4401
        assert browser.ask("GET", "/who").status == 401
        assert other.ask("GET", "/who").status == 200, "another user's session goes on"
        assert browser.sign_in("ben").status == 403
        assert browser.sign_in("ben", "another good one").status == 303
        login.command("user", "remove", "ben")
        assert browser.ask("GET", "/who").status == 401
        login.command("user", "add", "ben", "--stdin", stdin="another good one")
        assert browser.ask("GET", "/who").status == 401, "another user of the same name"


def test_a_session_outlives_the_process_but_not_its_time(tmp_path: Path) -> None:
    browser = Browser("")
    with running_login(tmp_path) as login:
        browser.address = login.address
        browser.sign_in("ben")
        login.process.send_signal(signal.SIGKILL)
        login.process.wait()
    with running_login(tmp_path) as login:
        browser.address = login.address
        assert browser.ask("GET", "/who").status == 200
        assert "Whole" in login.command("audit", "verify")
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert browser.cookies[SESSION].encode() not in path.read_bytes(), path


def test_a_dearer_cost_is_taken_up_at_the_next_sign_in(tmp_path: Path) -> None:
    users, browser = tmp_path / "users.json", Browser("")
    with running_login(tmp_path) as login:
        browser.address = login.address
        browser.sign_in("ben")
        assert users.read_text().count("m=64,t=1") == 2
    with running_login(tmp_path, password_passes=2) as login:
        browser.address = login.address
        other = Browser(login.address)
        assert other.sign_in("ben").status == 303
        assert users.read_text().count("m=64,t=2") == 1
        assert browser.ask("GET", "/who").status == 200, "it is the same password"


def test_guessing_locks_the_guesser_out_but_nobody_who_is_in(tmp_path: Path) -> None:
    with running_login(tmp_path, lockout_free=3, lockout_first_s=1.5) as login:
        inside = Browser(login.address)
        inside.sign_in("ben")
        token = login.command("token", "add", "ada").splitlines()[0]
        given = {"Authorization": f"Bearer {token}"}
        for _ in range(3):
            assert Browser(login.address).sign_in("ben", "wrong").status == 403
        answer = Browser(login.address).sign_in("ben")
        assert answer.status == 429 and 1 <= int(answer.headers["Retry-After"]) <= 2
        assert "Too many wrong passwords" in answer.text
        answer = Browser(login.address).ask("GET", "/who", Authorization=basic("ben", PASSWORD))
        assert answer.status == 429 and answer.headers["Retry-After"]
        assert inside.ask("GET", "/who").status == 200
        assert Browser(login.address, given).ask("GET", "/who").status == 200, "a token, too"
        time.sleep(1.6)
        assert Browser(login.address).sign_in("ben").status == 303
        kinds = [(event["kind"], event["user"]) for event in record(login)]
        assert kinds.count(("failure", "ben")) == 3 and kinds.count(("lockout", "ben")) == 1


def test_guesses_sent_all_at_once_are_counted_one_by_one(tmp_path: Path) -> None:
    with running_login(tmp_path, lockout_free=4, lockout_first_s=60) as login:

        def guess(number: int) -> int:
            given = basic("ben", f"guess {number}")
            return Browser(login.address).ask("GET", "/who", Authorization=given).status

        with ThreadPoolExecutor(30) as pool:
            answers = list(pool.map(guess, range(30)))
        assert answers.count(401) == 4 and answers.count(429) == 26


def test_one_password_sent_many_times_at_once_is_one_check(tmp_path: Path) -> None:
    with running_login(tmp_path, password_passes=20, password_queue=0) as login:

        def ask(_: int) -> int:
            given = basic("ben", PASSWORD)
            return Browser(login.address).ask("GET", "/who", Authorization=given).status

        with ThreadPoolExecutor(20) as pool:
            assert set(pool.map(ask, range(20))) == {200}
        assert [event["kind"] for event in record(login)].count("login") == 1


def test_more_sign_ins_than_memory_is_for_are_told_to_wait(tmp_path: Path) -> None:
    heavy: dict[str, object] = {"password_memory_kib": 32_768, "password_passes": 3}
    with running_login(tmp_path, password_workers=1, password_queue=1, lockout_free=100,
                       **heavy) as login:  # fmt: skip

        def ask(number: int) -> tuple[int, str | None]:
            given = basic("ben", f"guess {number}")
            answer = Browser(login.address).ask("GET", "/who", Authorization=given)
            return answer.status, answer.headers["Retry-After"]

        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(ask, range(12)))
        assert (401, None) in answers and (503, "2") in answers
        assert {status for status, _ in answers} == {401, 503}


def test_who_guesses_waits_and_nobody_else_does(tmp_path: Path) -> None:
    with running_login(tmp_path, lockout_free=8, refusal_pause_s=1.5) as login:
        browser = Browser(login.address)
        browser.sign_in("ben")

        def guess(number: int) -> float:
            began = time.monotonic()
            given = "Bearer heliochrome_x" if number % 2 else basic("ben", f"guess {number}")
            Browser(login.address).ask("GET", "/who", Authorization=given)
            return time.monotonic() - began

        with ThreadPoolExecutor(20) as pool:
            guesses = [pool.submit(guess, number) for number in range(20)]
            time.sleep(0.5)
            began = time.monotonic()
            assert browser.ask("GET", "/who").status == 200
            assert time.monotonic() - began < 1
            assert min(done.result() for done in guesses) >= 1.5


def test_the_record_tells_who_but_never_a_secret(tmp_path: Path) -> None:
    with running_login(tmp_path) as login:
        browser = Browser(login.address)
        browser.sign_in("ben", "a wrong secret")
        browser.sign_in("my password typed as a name", "x")
        for _ in range(2):  # the page never lets a password pass unchecked and unrecorded
            browser.sign_in("ben")
            browser.ask("POST", "/logout")
        events = record(login)
        told = [(e["kind"], e["user"], e.get("reason")) for e in events if e["kind"] != "admin"]
        assert told == [
            ("start", "", None),
            ("failure", "ben", "wrong password"),
            ("failure", "", "no such user"),
            ("login", "ben", None),
            ("logout", "ben", None),
            ("login", "ben", None),
            ("logout", "ben", None),
        ]
        assert {event["address"] for event in events[3:]} == {"127.0.0.1"}
        acts = [(e["act"], e["subject"], e["role"]) for e in events if e["kind"] == "admin"]
        assert acts == [("add user", "ada", "admin"), ("add user", "ben", "user")]
    for path in tmp_path.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for secret in (PASSWORD, "a wrong secret", "typed as a name"):
                assert secret.encode() not in content, path


@pytest.mark.parametrize("damage", ["{", '{"version": 2, "users": []}', "writable", "no record"])
def test_where_it_cannot_be_known_who_may_enter_nobody_does(tmp_path: Path, damage: str) -> None:
    with running_login(tmp_path) as login:
        browser = Browser(login.address)
        browser.sign_in("ben")
        users = tmp_path / "users.json"
        if damage == "writable":
            users.chmod(0o666)
            users.touch()
        elif damage == "no record":
            (tmp_path / "audit" / "head").unlink()
            next((tmp_path / "audit").glob("*.jsonl")).unlink()
        else:
            users.write_text(damage)
        given = basic("ada", PASSWORD)
        answer = Browser(login.address).ask("GET", "/who", Authorization=given)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "30")
        answer = Browser(login.address).sign_in("ada")
        assert answer.status == 503 and "cannot sign anybody in" in answer.text
        if damage != "no record":
            assert browser.ask("GET", "/who").status == 503


def test_a_form_that_never_ends_is_not_waited_for(login: RunningLogin) -> None:
    host, port = login.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as slow:
        slow.sendall(
            f"POST /login HTTP/1.1\r\nHost: {host}\r\nContent-Type: {URLENCODED}\r\n"
            "Content-Length: 100\r\n\r\nname=".encode()
        )
        began = time.monotonic()
        assert slow.recv(1000).startswith(b"HTTP/1.1 400")
        assert 5 < time.monotonic() - began < 15


def test_an_unfinished_environment_is_told_in_words(tmp_path: Path) -> None:
    environ = environment(tmp_path, listen_host="0.0.0.0")
    done = command(environ, "user", "list")
    assert done.returncode == 2 and "HELIOCHROME_GATEWAY_TLS=self-signed" in done.stderr
