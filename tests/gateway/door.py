"""A real gateway process in front of a stand-in or a real ComfyUI, and people at its door."""

from __future__ import annotations

import base64
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from browsing import Answer, Browser
from login_server import PASSWORD, command, environment

# One of each role, and a second user who is not to see what is the first one's.
PEOPLE = {"ada": "admin", "ben": "user", "eve": "user", "vic": "viewer"}
METRICS_TOKEN = "for-prometheus-only"


def basic(name: str, password: str = PASSWORD) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@dataclass
class Door:
    address: str
    folder: Path
    process: subprocess.Popen[str]

    @property
    def port(self) -> int:
        return urlsplit(self.address).port or 0

    def ask(
        self, name: str, method: str, path: str, body: str | bytes = "", **headers: str
    ) -> Answer:
        """As this person's program; "": as nobody."""
        known = {"Authorization": basic(name)} if name else {}
        return Browser(self.address, known).ask(method, path, body, **headers)

    def post(self, name: str, path: str, body: Any) -> Answer:
        return self.ask(name, "POST", path, json.dumps(body), Content_Type="application/json")

    def json(self, name: str, path: str) -> Any:
        answer = self.ask(name, "GET", path)
        assert answer.status == 200, answer.text
        return json.loads(answer.text)

    def raw(self, sent: bytes, limit_s: float = 5.0) -> bytes:
        """Bytes as they are, and what comes back until the gateway has nothing more to say."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=limit_s) as connection:
            connection.sendall(sent)
            found = b""
            try:
                while piece := connection.recv(65536):
                    found += piece
                    if b"\r\n\r\n" in found:
                        connection.settimeout(0.3)
            except (TimeoutError, ConnectionResetError):
                pass
            return found

    def record(self) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = []
        for path in sorted((self.folder / "audit").glob("*.jsonl")):
            lines += [json.loads(line) for line in path.read_text().splitlines()]
        return lines


@contextmanager
def running_door(folder: Path, upstream: str, **settings: object) -> Iterator[Door]:
    environ = environment(
        folder, upstream=upstream, metrics_token=METRICS_TOKEN, password_cache_s=3600, **settings
    )
    if not (folder / "users.json").exists():
        for name, role in PEOPLE.items():
            made = command(environ, "user", "add", name, "--role", role, "--stdin", stdin=PASSWORD)
            assert made.returncode == 0, made.stderr
    process = subprocess.Popen(
        [sys.executable, "-m", "heliochrome_gateway", "serve"],
        stdout=subprocess.PIPE, text=True, env=environ,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.search(r"https?://\S+?(?=/\s)", line)
        assert found, line
        yield Door(found[0], folder, process)
    finally:
        process.terminate()
        process.wait(timeout=20)
        process.stdout.close()
