"""A real HTTP server, in a process of its own, that misbehaves as it is told to.

`ModelServer` is the test's side. `server.serve(path, body, *steps)` publishes a file; each GET
takes the next step and the last one stays. A step is a dict of: status, html, ignore_range,
cut_after (bytes), stall_after (bytes, then silence), pace (bytes a second), etag, body,
redirect (address).
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from random import Random
from typing import Any

ONE = 256 * 1024  # a block of the downloader


def archive(size: int, seed: int = 0) -> bytes:
    """A zip file of about `size` bytes that cannot be compressed: what a checkpoint looks like."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as content:
        content.writestr("archive/data.pkl", Random(seed).randbytes(size))
    return file.getvalue()


class ModelServer:
    """Talks to a server process. `requests` are (path, Range header or None)."""

    def __init__(self, address: str) -> None:
        self.address = address

    def serve(self, path: str, body: bytes, *steps: dict[str, Any]) -> None:
        plan = {"body": _pack(body), "steps": [_packed(step) for step in steps] or [{}]}
        data = json.dumps({path.lstrip("/"): plan}).encode()
        urllib.request.urlopen(f"{self.address}/_plan", data).close()

    @property
    def requests(self) -> list[tuple[str, str | None]]:
        with urllib.request.urlopen(f"{self.address}/_log") as answer:
            return [(path, span) for path, span in json.load(answer)]


@contextmanager
def running_server() -> Iterator[ModelServer]:
    process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield ModelServer(f"http://127.0.0.1:{int(process.stdout.readline())}")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _pack(body: bytes) -> str:
    return base64.b64encode(body).decode()


def _packed(step: dict[str, Any]) -> dict[str, Any]:
    return {**step, "body": _pack(step["body"])} if "body" in step else step


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    plans: dict[str, Any] = {}  # noqa: RUF012
    log: list[tuple[str, str | None]] = []  # noqa: RUF012
    lock = threading.Lock()

    def log_message(self, *args: object) -> None: ...

    def do_POST(self) -> None:
        self.plans.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.reply(200, b"")

    def do_GET(self) -> None:
        path = self.path.lstrip("/")
        if path == "_log":
            self.reply(200, json.dumps(self.log).encode())
            return
        with self.lock:
            self.log.append((path, self.headers["Range"]))
            plan = self.plans.get(path)
            if plan is None:
                self.reply(404, b"no such file")
                return
            step = plan["steps"].pop(0) if len(plan["steps"]) > 1 else plan["steps"][0]
        if "status" in step:
            self.reply(step["status"], b"sorry")
        elif "html" in step:
            self.reply(200, b"<!doctype html><title>Log in</title>", "text/html")
        elif "redirect" in step:
            self.reply(302, b"", location=step["redirect"])
        else:
            self.send_file(base64.b64decode(step.get("body", plan["body"])), step)

    def send_file(self, body: bytes, step: dict[str, Any]) -> None:
        span, start = self.headers["Range"], 0
        if span and not step.get("ignore_range"):
            start = int(span.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                self.reply(416, b"")
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("ETag", step.get("etag", '"one"'))
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")  # S3 always says it
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        end = step.get("cut_after", step.get("stall_after"))
        self.send(body[start : None if end is None else start + end], step.get("pace"))
        if "stall_after" in step:
            time.sleep(60)
        self.close_connection = end is not None

    def send(self, data: bytes, pace: int | None) -> None:
        piece = pace // 20 if pace else len(data) or 1
        try:
            for at in range(0, len(data), piece):
                self.wfile.write(data[at : at + piece])
                if pace:
                    time.sleep(1 / 20)
        except ConnectionError:
            pass  # the client went away, as some tests want

    def reply(
        self, status: int, body: bytes, kind: str = "text/plain", location: str | None = None
    ) -> None:
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
