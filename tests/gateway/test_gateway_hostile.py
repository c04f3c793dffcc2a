"""Requests that mean harm, as raw bytes from a signed-in user: none reaches the host.

What is wrong with a form or a workflow is in test_gateway_uploads and test_gateway_graphs.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from door import Door, basic, running_door
from toy_comfyui import Toy, running_toy

from waiting import eventually

USER = f"Authorization: {basic('ben')}"
GRAPH = json.dumps(
    {"prompt": {"1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}}}}
)


@pytest.fixture(scope="module")
def toy() -> Iterator[Toy]:
    with running_toy() as toy:
        yield toy


@pytest.fixture(scope="module")
def door(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with running_door(tmp_path_factory.mktemp("gateway"), toy.address) as door:
        yield door


def ask(line: str, *headers: str, body: str = "", host: str = "Host: photos.example") -> bytes:
    """One request, closed after its answer."""
    head = [f"{line} HTTP/1.1", *([host] if host else []), "Connection: close", *headers]
    length = [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([*head, *length, "", body]).encode("latin-1")


def path(target: str, method: str = "GET") -> bytes:
    return ask(f"{method} {target}", USER)


def framed(*headers: str, body: str) -> bytes:
    """A POST that says how long it is in a way of its own."""
    return "\r\n".join(
        ["POST /comfyui/prompt HTTP/1.1", "Host: photos.example", USER, *headers, "", body]
    ).encode("latin-1")


def post(target: str, body: str, *headers: str, user: str = USER) -> bytes:
    return ask(f"POST {target}", user, "Content-Type: application/json", *headers, body=body)


SMUGGLED = "0\r\n\r\nGET /comfyui/internal/logs HTTP/1.1\r\nHost: a\r\n\r\n"
SOCKET = ("Upgrade: websocket", "Sec-WebSocket-Version: 13",
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")  # fmt: skip

HOSTILE: dict[str, bytes] = {
    # Path tricks.
    **{
        f"path {target}": path(target)
        for target in (
            "/comfyui/internal/logs", "/comfyui/api/internal/logs", "/comfyui/internal/logs/raw",
            "/comfyui/INTERNAL/logs", "/comfyui/internal/logs/", "/comfyui//internal/logs",
            "/comfyui/./internal/logs", "/comfyui/assets/../internal/logs",
            "/comfyui/assets/..%2finternal/logs", "/comfyui/assets/%2e%2e/internal/logs",
            "/comfyui/assets/%252e%252e/internal/logs", "/comfyui/assets/..;/internal/logs",
            "/comfyui/assets/..%00/internal", "/comfyui/%69nternal/logs",
            "/comfyui/internal%2flogs", "/comfyui\\internal\\logs", "/comfyui/%5cinternal",
            "/comfyui/assets/%c0%ae%c0%ae/x", "/comfyui/assets/%ef%bc%8e%ef%bc%8e/x",
            "/comfyui/api/api/internal/logs", "/internal/logs", "/api/prompt", "/prompt", "/ws",
            "/view?filename=a.png", "/comfyuiX/prompt", "/comfyui.evil/prompt",
            "http://127.0.0.1/comfyui/prompt", "//127.0.0.1/comfyui/prompt",
            "/comfyui/system_stats/", "/comfyui/free", "/comfyui/models", "/comfyui/api/assets/1",
            "/comfyui/experiment/models", "/comfyui/view_metadata/x", "/comfyui/v2/userdata",
            "/comfyui/userdata/..%2f..%2fetc%2fpasswd", "/comfyui/userdata/%2fetc%2fpasswd",
            "/comfyui/userdata?dir=..", "/comfyui/userdata?dir=/etc",
            "/comfyui/assets/" + "a" * 9000, "/comfyui/assets/" + "a/" * 2500,
            "/comfyui/assets/a?x=%00", "/comfyui/assets/%", "/comfyui/assets/a#b",
            "/comfyui/extensions/../../internal/logs", "/comfyui/templates/%2e%2e%2f",
        )
    },
    # Traversal and other users' files.
    **{
        f"view {query}": path(f"/comfyui/view?{query}")
        for query in (
            "filename=../../etc/passwd", "filename=/etc/passwd", "filename=..%2f..%2fetc%2fpasswd",
            "filename=a.png&subfolder=..", "filename=a.png&subfolder=user-eve",
            "filename=a.png&subfolder=user-ben/../user-eve", "filename=user-eve/a.png",
            "filename=a.png%20[output]&subfolder=user-eve", "filename=a.png&type=output",
            "filename=a.png&subfolder=user-ben&subfolder=user-eve", "filename=a.png&type=../input",
            "filename=a.png%00.txt&subfolder=user-ben", "filename=user-ben%5c..%5cx",
            "filename=ComfyUI_temp_aaaaa_00001_.png&type=temp",
        )
    },
    # Methods.
    **{
        f"method {line}": ask(line, USER)
        for line in (
            "POST /comfyui/free", "POST /comfyui/users", "DELETE /comfyui/history",
            "PUT /comfyui/userdata/a", "PATCH /comfyui/internal/logs/subscribe",
            "TRACE /comfyui/prompt", "OPTIONS /comfyui/prompt", "CONNECT 127.0.0.1:8188",
            "GET /comfyui/interrupt", "get /comfyui/prompt", "PRI *", "OPTIONS *",
            "POST /comfyui/settings", "POST /comfyui/api/settings/Comfy.Locale",
        )
    },
    # Smuggling: two readings of where a request ends.
    "CL and TE": framed("Content-Length: 6", "Transfer-Encoding: chunked", body=SMUGGLED),
    "TE and CL": framed("Transfer-Encoding: chunked", "Content-Length: 3", body=SMUGGLED),
    "two CLs": framed("Content-Length: 3", "Content-Length: 5", body="abcde"),
    "CL list": framed("Content-Length: 3, 5", body="abcde"),
    "CL signed": framed("Content-Length: +3", body="abc"),
    "CL negative": framed("Content-Length: -3", body="abc"),
    "CL hexadecimal": framed("Content-Length: 0x3", body="abc"),
    "CL with a space": framed("Content-Length : 3", body="abc"),
    "TE not chunked": framed("Transfer-Encoding: xchunked", body=SMUGGLED),
    "TE chunked twice": framed("Transfer-Encoding: chunked, chunked", body=SMUGGLED),
    "TE identity": framed("Transfer-Encoding: chunked, identity", body=SMUGGLED),
    "TE folded": framed("Transfer-Encoding:\r\n chunked", body=SMUGGLED),
    "TE with a tab": framed("Transfer-Encoding:\x0bchunked", body=SMUGGLED),
    "TE two lines": framed("Transfer-Encoding: identity", "Transfer-Encoding: chunked",
                           body=SMUGGLED),
    "chunk size signed": framed("Transfer-Encoding: chunked", body="-1\r\nabc\r\n0\r\n\r\n"),
    "chunk size hex": framed("Transfer-Encoding: chunked", body="0x3\r\nabc\r\n0\r\n\r\n"),
    "chunk size none": framed("Transfer-Encoding: chunked", body="\r\nabc\r\n0\r\n\r\n"),
    "chunk bare LF": framed("Transfer-Encoding: chunked", body="3\nabc\n0\n\n"),
    "header bare CR": ask("GET /comfyui/prompt", USER, "X: a\rY: b"),
    "header NUL": ask("GET /comfyui/prompt", USER, "X: a\0b"),
    "header name space": ask("GET /comfyui/prompt", USER, "X Y: a"),
    "header no name": ask("GET /comfyui/prompt", USER, ": a"),
    "header no colon": ask("GET /comfyui/prompt", USER, "nothing"),
    "header huge": ask("GET /comfyui/prompt", USER, "X: " + "a" * 70_000),
    "line with LF": b"GET /comfyui/prompt HTTP/1.1\nX: /internal\nHost: a\n\n",
    "HTTP/0.9": b"GET /comfyui/prompt\r\n\r\n",
    "HTTP/2 of old": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no version": b"GET /comfyui/internal/logs HTTP/9.9\r\nHost: a\r\n\r\n",
    "rubbish": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
    "no host": ask("GET /comfyui/prompt", USER, host=""),
    "two hosts": ask("GET /comfyui/prompt", USER, "Host: evil.example"),
    # Origin.
    "origin elsewhere": post("/comfyui/prompt", GRAPH, "Origin: https://evil.example"),
    "origin null": post("/comfyui/prompt", GRAPH, "Origin: null"),
    "origin other port": post("/comfyui/prompt", GRAPH, "Origin: http://photos.example:81"),
    "origin other scheme": post("/comfyui/prompt", GRAPH, "Origin: https://photos.example"),
    "origin alike": post("/comfyui/prompt", GRAPH, "Origin: http://photos.example.evil.example"),
    "origin twice": post("/comfyui/prompt", GRAPH, "Origin: http://photos.example",
                         "Origin: https://evil.example"),
    "origin empty": post("/comfyui/prompt", GRAPH, "Origin: "),
    "cross-site": post("/comfyui/prompt", GRAPH, "Sec-Fetch-Site: cross-site"),
    "same-site": post("/comfyui/prompt", GRAPH, "Sec-Fetch-Site: same-site"),
    "cross-site picture": ask("GET /comfyui/view?filename=example.png&type=input", USER,
                              "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors",
                              "Sec-Fetch-Dest: image"),
    "cross-site frame": ask("GET /comfyui/", USER, "Sec-Fetch-Site: cross-site",
                            "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"),
    "form from elsewhere": ask("POST /comfyui/interrupt", USER, "Content-Type: text/plain",
                               "Origin: https://evil.example", body='{"prompt_id": "x"}'),
    "socket from elsewhere": ask("GET /comfyui/ws", USER, *SOCKET, "Origin: https://evil.example"),
    # Credentials.
    "nobody": ask("GET /comfyui/prompt"),
    "session made up": ask("GET /comfyui/prompt", "Cookie: heliochrome-session=" + "A" * 43),
    "session as path": ask("GET /comfyui/prompt", "Cookie: heliochrome-session=../../x"),
    "session as SQL": ask("GET /comfyui/prompt", "Cookie: heliochrome-session=' OR 1=1--"),
    "session of a form": ask("GET /comfyui/prompt", "Cookie: heliochrome-form=" + "A" * 43),
    "many cookies": ask("GET /comfyui/prompt", "Cookie: " + "; ".join(
        f"heliochrome-session={n}" for n in range(200))),
    "two credentials": ask("GET /comfyui/prompt", USER, f"Authorization: {basic('ada')}"),
    "wrong password": ask("GET /comfyui/prompt", f"Authorization: {basic('ada', 'wrong')}"),
    "no password": ask("GET /comfyui/prompt", f"Authorization: {basic('ada', '')}"),
    "token made up": ask("GET /comfyui/prompt", "Authorization: Bearer heliochrome_" + "A" * 43),
    "name in a header": ask("GET /comfyui/prompt", "Heliochrome-User: ada", "comfy-user: ada",
                            "Heliochrome-Role: admin", "X-Forwarded-User: ada"),
    "address in a header": ask("GET /comfyui/prompt", "X-Forwarded-For: 127.0.0.1",
                               "X-Real-IP: 127.0.0.1", "Forwarded: for=127.0.0.1"),
    "path in a header": ask("GET /healthz/x", USER, "X-Original-URL: /comfyui/internal/logs",
                            "X-Rewrite-URL: /comfyui/internal/logs"),
    # Other people's runs and sockets.
    "interrupt all": post("/comfyui/interrupt", "{}"),
    "interrupt by no body": ask("POST /comfyui/interrupt", USER),
    "interrupt unknown": post("/comfyui/interrupt", '{"prompt_id": "1"}'),
    "interrupt twice named": post("/comfyui/interrupt", '{"prompt_id": "1", "prompt_id": ""}'),
    "delete unknown": post("/comfyui/queue", '{"delete": ["1"]}'),
    "forget unknown": post("/comfyui/history", '{"delete": ["1"]}'),
    "cancel unknown": post("/comfyui/api/jobs/1/cancel", "{}"),
    "job of nobody": path("/comfyui/api/jobs/00000000-0000-0000-0000-000000000000"),
    "socket with a bad id": ask("GET /comfyui/ws?clientId=../x", USER, *SOCKET),
    "socket with two ids": ask("GET /comfyui/ws?clientId=a&clientId=b", USER, *SOCKET),
    "socket by POST": ask("POST /comfyui/ws", USER, *SOCKET),
    "socket without upgrade": path("/comfyui/ws?clientId=a"),
    "socket with nobody": ask("GET /comfyui/ws?clientId=a", *SOCKET),
    "h2c": ask("GET /comfyui/ws", USER, "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
    # Bodies.
    "packed bomb": ask("POST /comfyui/prompt", USER, "Content-Encoding: gzip", body="\x1f\x8b\x08"),
    "zip": ask("POST /comfyui/upload/image", USER, "Content-Type: application/zip",
               body="PK\x03\x04"),
    "huge by word": framed("Content-Length: 99999999999", body="a"),
    "graph of any node": post("/comfyui/prompt",
                              '{"prompt": {"1": {"class_type": "Exec", "inputs": {}}}}'),
    "deep JSON": post("/comfyui/prompt", "[" * 50_000),
    "viewer's run": post("/comfyui/prompt", GRAPH, user=f"Authorization: {basic('vic')}"),
}  # fmt: skip


def test_there_are_at_least_a_hundred():
    assert len(HOSTILE) >= 100


@pytest.mark.parametrize("case", HOSTILE)
def test_nothing_hostile_reaches_the_host(door: Door, toy: Toy, case: str):
    toy.seen()
    answer = door.raw(HOSTILE[case])
    assert toy.seen() == []
    # Refused, and in one answer: a second one would be to a request that was smuggled in.
    assert answer == b"" or answer[9:10] in b"345", answer[:200]
    assert answer.count(b"\r\nServer: ") <= 1
    assert b"Traceback" not in answer


def test_a_plain_request_does_reach_it(door: Door, toy: Toy):
    """Or the table above would hold for a gateway that lets nothing through."""
    toy.seen()
    assert b" 200 " in door.raw(path("/comfyui/assets/a.js"))
    own = ask("POST /comfyui/prompt", USER, "Origin: http://photos.example", body=GRAPH)
    assert b" 200 " in door.raw(own)
    link = ask("GET /comfyui/", USER, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate",
               "Sec-Fetch-Dest: document")  # fmt: skip
    assert b" 200 " in door.raw(link)
    reached = [entry["path"] for entry in toy.seen()]
    assert {"/assets/a.js", "/prompt", "/"} <= set(reached)


def test_five_hundred_silent_connections_hold_nobody_up(door: Door):
    """Half of a head each (slow-loris)."""
    silent = [socket.create_connection(("127.0.0.1", door.port)) for _ in range(500)]
    try:
        for connection in silent:
            connection.sendall(b"GET /comfyui/ HTTP/1.1\r\nHost: a\r\nX: ")
        began = time.monotonic()
        for _ in range(20):
            assert door.ask("eve", "GET", "/comfyui/assets/a.js").status == 200
        assert time.monotonic() - began < 10
    finally:
        for connection in silent:
            connection.close()


def test_slow_bodies_take_slots_of_their_user_only(toy: Toy, tmp_path):
    with running_door(tmp_path, toy.address, requests_at_once=3) as door:
        head = (f"POST /comfyui/prompt HTTP/1.1\r\nHost: a\r\n{USER}\r\nUpgrade: websocket\r\n"
                "Content-Length: 1000\r\n\r\n{").encode()  # fmt: skip
        assert door.ask("ben", "GET", "/comfyui/assets/a").status == 200
        slow = [socket.create_connection(("127.0.0.1", door.port)) for _ in range(3)]
        for connection in slow:
            connection.sendall(head)
        assert eventually(lambda: door.ask("ben", "GET", "/comfyui/assets/a").status == 429)
        assert door.ask("eve", "GET", "/comfyui/assets/a").status == 200
        for connection in slow:
            connection.close()
        assert eventually(lambda: door.ask("ben", "GET", "/comfyui/assets/a").status == 200)


def test_many_uploads_of_bombs_at_once_leave_others_alone(door: Door, toy: Toy):
    """Zeros are cheap to send and dear to decode; they are refused by their size alone."""
    from test_gateway_uploads import png_that_claims, send

    toy.seen()
    bomb, found = png_that_claims(50_000, 50_000), []
    threads = [
        threading.Thread(target=lambda: found.append(send(door, bomb).status)) for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    assert door.ask("eve", "GET", "/comfyui/assets/a").status == 200
    for thread in threads:
        thread.join()
    assert found == [413] * 10
    assert [entry["path"] for entry in toy.seen()] == ["/assets/a"]
