"""A function of Alibaba's on this machine: the container's server, called as the platform calls.

What the platform does itself (its own headers, no HOME, temporary credentials in every request)
is done here by its documentation; nothing has been compared with the platform.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECRET = "the-secret-of-the-role"
CREDENTIALS = {
    "x-fc-access-key-id": "STS.temporary",
    "x-fc-access-key-secret": SECRET,
    "x-fc-security-token": "the-token-of-the-role",
}


@dataclass(frozen=True)
class Answer:
    """headers: names in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def document(self) -> Any:
        return json.loads(self.body)


class Instance:
    """One process; `log` is what it has written."""

    def __init__(self, environ: Mapping[str, str], log: Path) -> None:
        self.log_path = log
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        module = "heliochrome.handlers.alibaba_fc"
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, "--host", "127.0.0.1", "--port", str(self.port)],
            cwd="/",
            env={"PATH": os.environ["PATH"], "FC_REGION": "cn-hangzhou", **environ},
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
        )

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def wait_until_it_listens(self) -> None:
        for _ in range(600):
            with suppress(OSError):
                self.connect().connect()
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise TimeoutError(self.log)

    def call(
        self,
        body: Any,
        headers: Mapping[str, str] | None = None,
        *,
        control: str = "/http-invoke",
        path: str = "/",
        method: str = "POST",
    ) -> Answer:
        """body: bytes as they are, anything else as JSON. control: what the platform calls it."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"x-fc-request-id": "r-1", "x-fc-control-path": control, **CREDENTIALS}
        connection = self.connect()
        try:
            connection.request(method, path, raw, {**given, **(headers or {})})
            response = connection.getresponse()
            names = {name.lower(): text for name, text in response.getheaders()}
            return Answer(response.status, names, response.read())
        finally:
            connection.close()

    def invoke(self, event: Any, headers: Mapping[str, str] | None = None) -> Answer:
        return self.call(event, headers, control="/invoke", path="/invoke")

    def initialize(self) -> Answer:
        return self.call(b"", control="/initialize", path="/initialize")


@contextmanager
def running(environ: Mapping[str, str], log: Path) -> Iterator[Instance]:
    instance = Instance(environ, log)
    try:
        instance.wait_until_it_listens()
        yield instance
    finally:
        instance.process.kill()
        instance.process.wait()


def oss_event(bucket: str, key: str, name: str = "ObjectCreated:PutObject") -> dict[str, Any]:
    """As `s cli fc3 trigger-template` prints it, less what nobody reads."""
    return {
        "events": [
            {
                "eventName": name,
                "eventSource": "acs:oss",
                "eventTime": "2026-11-21T12:46:37.000Z",
                "eventVersion": "1.0",
                "oss": {
                    "bucket": {"name": bucket, "ownerIdentity": "123456789"},
                    "object": {"eTag": "688A7BF4F233DC9C88A80BF985AB7329", "key": key, "size": 1},
                    "ossSchemaVersion": "1.0",
                },
                "region": "cn-hangzhou",
            }
        ]
    }
