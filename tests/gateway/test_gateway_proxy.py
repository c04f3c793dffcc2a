"""HTTP through the door: streamed, bounded, ended together, and in words when it cannot be."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import Browser
from door import METRICS_TOKEN, Door, basic, running_door
from toy_comfyui import PIECE, Toy, peak_mib, running_toy

from waiting import eventually

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def toy() -> Iterator[Toy]:
    with running_toy() as toy:
        yield toy


@pytest.fixture(scope="module")
def door(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("gateway")
    with running_door(folder, toy.address, max_body_bytes=300 * MEGABYTE) as door:
        yield door


def test_a_stranger_gets_nothing_through(door: Door, toy: Toy):
    toy.seen()
    for path in ("/comfyui/", "/comfyui/prompt", "/comfyui/api/history", "/anything"):
        assert door.ask("", "GET", path).status == 401
    answer = door.ask("", "GET", "/comfyui/", Accept="text/html")
    assert answer.status == 303
    assert answer.location.startswith("/login")
    assert toy.seen() == []


def test_the_front_page_is_comfyui_where_there_is_no_studio(door: Door):
    for path in ("/", "/comfyui"):
        answer = door.ask("ben", "GET", path)
        assert (answer.status, answer.location) == (307, "/comfyui/")
    assert door.ask("ben", "GET", "/help").status == 404


def test_the_host_is_told_who_asks_and_nothing_of_the_browser(door: Door, toy: Toy):
    toy.seen()
    answer = door.ask(
        "ben", "GET", "/comfyui/assets/a.js?v=1", Cookie="a=b", comfy_user="root",
        X_Forwarded_For="10.9.9.9", Origin=door.address,
    )  # fmt: skip
    assert answer.status == 200
    (seen,) = toy.seen()
    assert seen["path"] == "/assets/a.js?v=1"
    headers = seen["headers"]
    assert headers["heliochrome-user"] == "ben"
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["host"] == f"127.0.0.1:{door.port}"
    assert not {"authorization", "cookie", "comfy-user", "origin"} & set(headers)


def test_every_answer_is_secured(door: Door):
    own, hosts = ("/login", "/comfyui/", "/healthz"), ("/comfyui/assets/a.js", "/nowhere")
    for name, path in [("", path) for path in own] + [("ben", path) for path in hosts]:
        headers = door.ask(name, "GET", path).headers
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"], path
        assert headers["Server"] == "heliochrome", path
        assert re.match("private|no-store", headers["Cache-Control"]), path
        assert "Set-Cookie" not in headers or path == "/login", path


def test_a_large_answer_and_a_large_body_pass_in_constant_memory(door: Door, toy: Toy):
    """200 MB each way. The gateway's peak grows by far less than one of them."""
    door.ask("ada", "GET", "/comfyui/assets/down/10")
    before, size = peak_mib(door.process.pid), 200 * MEGABYTE
    digest = hashlib.sha256()
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=60)
    known = {"Authorization": basic("ada")}

    def pieces() -> Iterator[bytes]:
        for start in range(0, size, len(PIECE)):
            piece = PIECE[: size - start]
            digest.update(piece)
            yield piece

    connection.request(
        "POST", "/comfyui/userdata/big", pieces(), {**known, "Content-Length": str(size)}
    )
    found = json.loads(connection.getresponse().read())
    assert found == {"size": size, "sha256": digest.hexdigest()}

    connection.request("GET", f"/comfyui/assets/down/{size}", headers=known)
    answer, got, back = connection.getresponse(), 0, hashlib.sha256()
    while piece := answer.read(1 << 20):
        got += len(piece)
        back.update(piece)
    assert (got, answer.headers["X-Kept"]) == (size, "1")
    assert back.hexdigest() == digest.hexdigest()
    assert peak_mib(door.process.pid) - before < 20


def test_an_answer_comes_as_it_is_made(door: Door):
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=20)
    connection.request("GET", "/comfyui/assets/down/1?endless",
                       headers={"Authorization": basic("ben")})  # fmt: skip
    answer = connection.getresponse()
    assert answer.read(10_000) == (PIECE[:1] + PIECE)[:10_000]  # its end never comes
    connection.close()


def test_who_goes_away_ends_the_hosts_work(door: Door, toy: Toy):
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=20)
    connection.request("GET", "/comfyui/assets/down/2?endless",
                       headers={"Authorization": basic("ben")})  # fmt: skip
    connection.getresponse().read(10)
    connection.close()
    assert eventually(lambda: ["/assets/down/2", "cut off"] in toy.ends())


def test_a_body_that_breaks_off_is_no_body(door: Door, toy: Toy):
    toy.seen()
    with socket.create_connection(("127.0.0.1", door.port)) as connection:
        head = ("POST /comfyui/userdata/broken HTTP/1.1\r\nHost: a\r\n"
                f"Authorization: {basic('ada')}\r\nContent-Length: 100000\r\n\r\n")  # fmt: skip
        connection.sendall(head.encode() + b"a" * 1000)
        assert eventually(lambda: bool(toy.seen()))
    # The host does not take it for a whole one.
    assert eventually(lambda: ["/userdata/user-ada%2Fbroken", "cut off"] in toy.ends())
    assert door.ask("ada", "GET", "/comfyui/assets/x").status == 200


def test_an_answer_that_breaks_off_is_not_taken_for_whole(door: Door):
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=20)
    connection.request("GET", "/comfyui/assets/down/1?broken",
                       headers={"Authorization": basic("ben")})  # fmt: skip
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        connection.getresponse().read()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused(toy: Toy, tmp_path: Path, chunked: bool):
    with running_door(tmp_path, toy.address, max_body_bytes=100_000) as door:
        connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=20)
        body = iter([b"a" * 50_000] * 4) if chunked else b"a" * 200_000
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", "/comfyui/userdata/big", body,
                               {"Authorization": basic("ada")}, encode_chunked=chunked)  # fmt: skip
        answer = connection.getresponse()
        assert answer.status == 413
        assert "0.1 MB" in json.loads(answer.read())["error"]["message"]


def test_a_host_that_is_down_is_told_in_words(tmp_path: Path):
    with running_door(tmp_path, "http://127.0.0.1:9") as door:
        answer = door.ask("ben", "GET", "/comfyui/", Accept="text/html", Accept_Language="zh-CN")
        assert answer.status == 502
        assert "无法连接 ComfyUI" in answer.text
        english = door.ask("ben", "GET", "/comfyui/api/prompt")
        assert "cannot be reached" in json.loads(english.text)["error"]["message"]
        assert door.ask("", "GET", "/healthz").status == 200
        assert door.ask("", "GET", "/readyz").status == 503


def test_the_studio_gets_what_is_not_comfyui(toy: Toy, tmp_path: Path):
    token = "shown to the studio alone"
    with running_door(
        tmp_path, "http://127.0.0.1:9", studio=toy.address, studio_token=token
    ) as door:
        toy.seen()
        assert door.ask("ben", "POST", "/api/jobs", b"abc").status == 200
        (seen,) = toy.seen()
        assert (seen["path"], seen["size"]) == ("/api/jobs", 3)
        assert seen["headers"]["heliochrome-role"] == "user"
        assert seen["headers"]["heliochrome-token"] == token
        assert door.ask("", "GET", "/api/jobs").status == 401
        assert door.ask("vic", "GET", "/api/jobs").status == 200
        toy.seen()
        assert door.ask("vic", "POST", "/api/jobs", b"abc").status == 403
        assert door.ask("ada", "TRACE", "/api/jobs").status == 405
        assert toy.seen() == []


def test_health_and_metrics(door: Door):
    assert door.ask("", "GET", "/healthz").text == "alive\n"
    assert door.ask("", "GET", "/readyz").status == 200
    assert door.ask("ada", "GET", "/metrics").status == 401
    answer = Browser(door.address, {"Authorization": f"Bearer {METRICS_TOKEN}"}).ask(
        "GET", "/metrics"
    )
    assert answer.status == 200
    assert 'heliochrome_gateway_requests_total{method="GET",status="2xx"}' in answer.text
    assert "ben" not in answer.text


def test_a_user_who_asks_too_fast_waits_and_others_do_not(toy: Toy, tmp_path: Path):
    with running_door(tmp_path, toy.address, requests_per_s=0.5, request_burst=5) as door:
        answers = [door.ask("ben", "GET", "/comfyui/assets/a") for _ in range(6)]
        assert [answer.status for answer in answers] == [200] * 5 + [429]
        assert int(answers[-1].headers["Retry-After"]) >= 1
        assert door.ask("eve", "GET", "/comfyui/assets/a").status == 200


def test_what_a_user_was_refused_is_in_the_record(door: Door):
    door.ask("eve", "GET", "/comfyui/internal/logs?secret=1")
    door.ask("", "GET", "/comfyui/internal/logs?secret=1")
    refusals = [line for line in door.record() if line["kind"] == "refusal"]
    mine = [line for line in refusals if line["path"] == "/comfyui/internal/logs"]
    assert [(line["user"], line["rule"]) for line in mine] == [("eve", "route")]
    assert "secret" not in json.dumps(door.record())
