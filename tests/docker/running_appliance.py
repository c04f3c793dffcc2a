"""The appliance as a buyer runs it: its handle, its containers, and its page."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from container_engine import Engine
from wire import Network, Wire

SERVICES = ("gateway", "studio", "comfyui")


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Appliance:
    """folder: with the compose file. begun: when `appliance up` was called (time.monotonic).
    wire: what goes over the network since then. starting: that `up`, which goes on for a while
    after the page is there; it writes to `said`."""

    engine: Engine
    folder: Path
    project: str
    port: int
    begun: float
    wire: Wire
    starting: subprocess.Popen[bytes]
    password: str = ""
    had: set[Network] = field(default_factory=set)

    @property
    def said(self) -> str:
        return (self.folder / "up.txt").read_text("utf-8")

    def networks(self) -> set[Network]:
        """Of its own: `down` takes them away, and the next `up` may make others."""
        names = [f"{self.project}_{name}" for name in ("outside", "inside")]
        self.had |= set(self.engine.subnets(*names))
        return self.had

    def handle(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        if command[0] in ("down", "restore"):
            self.networks()
        return self.engine.run(self.folder / "appliance", *command, check=check, cwd=self.folder)

    def container(self, service: str) -> str:
        return f"{self.project}_{service}_1"

    def inside(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        return self.engine.call("exec", self.container(service), *command, check=False)

    def compose(self, *command: str) -> subprocess.CompletedProcess[str]:
        engine = self.engine
        return engine.run(
            engine.compose, "-p", self.project, *command, check=False, cwd=self.folder
        )

    def python(self, service: str, code: str) -> str:
        done = self.inside(service, "python", "-c", code)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def ask(
        self, method: str, path: str, body: bytes | Any = b"", password: str | None = None,
        **headers: str,
    ) -> Answer:  # fmt: skip
        """As admin. body: anything but bytes is sent as JSON."""
        given = f"admin:{self.password if password is None else password}".encode()
        known = {"Authorization": f"Basic {base64.b64encode(given).decode()}"}
        if not isinstance(body, bytes):
            body, known["Content-Type"] = json.dumps(body).encode(), "application/json"
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=60, context=ssl._create_unverified_context()
        )
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        connection.request(method, path, body or None, {**known, **sent})
        response = connection.getresponse()
        answer = Answer(response.status, response.read())
        connection.close()
        return answer

    def certificate(self) -> str:
        return ssl.get_server_certificate(("127.0.0.1", self.port))

    def soon(self, there: Callable[[], Any], limit_s: float = 180) -> Any:
        end = time.monotonic() + limit_s
        while not (found := there()):
            assert time.monotonic() < end, self.handle("logs", check=False).stdout
            time.sleep(0.05)
        return found

    def answers(self, path: str = "/readyz") -> bool:
        try:
            return self.ask("GET", path).status == 200
        except (OSError, http.client.HTTPException):
            return False
