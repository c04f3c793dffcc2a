"""Lambda's runtime API on this machine, and the official client (awslambdaric) working for it.

`running(environ)` starts the client on `heliochrome.handlers.aws.lambda_handler` in a process of
its own, without HOME, as in Lambda; `LambdaFunction.invoke` gives it an event.
"""

from __future__ import annotations

import base64
import json
import os
import queue
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

PAYLOAD = 6 * 1024 * 1024
HANDLER = "heliochrome.handlers.aws.lambda_handler"


@dataclass
class Invocation:
    """kind: "response", "error", or "too large" where Lambda would have refused it."""

    event: bytes
    seconds: float
    identifier: str = field(default_factory=lambda: str(uuid.uuid4()))
    ended: threading.Event = field(default_factory=threading.Event)
    kind: Literal["response", "error", "too large"] = "error"
    result: Any = None


class RuntimeApi:
    """The server that the client polls (docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html)."""

    def __init__(self) -> None:
        self.waiting: queue.Queue[Invocation] = queue.Queue()
        self.taken: dict[str, Invocation] = {}
        self.failed_start: Any = None
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None: ...

            def do_GET(self) -> None:
                invocation = api.waiting.get()
                api.taken[invocation.identifier] = invocation
                self.reply(
                    200,
                    invocation.event,
                    {
                        "Lambda-Runtime-Aws-Request-Id": invocation.identifier,
                        "Lambda-Runtime-Deadline-Ms": str(
                            int((time.time() + invocation.seconds) * 1000)
                        ),
                        "Content-Type": "application/json",  # without it the client crashes
                        "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:x:0:function:f",
                    },
                )

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                *_, identifier, kind = self.path.split("/")
                if self.path.endswith("/init/error"):
                    api.failed_start = json.loads(body)
                    self.reply(202, b"{}")
                    return
                invocation = api.taken[identifier]
                invocation.kind = "too large" if len(body) > PAYLOAD else kind  # type: ignore[assignment]
                invocation.result = json.loads(body)
                self.reply(413 if len(body) > PAYLOAD else 202, b"{}")
                invocation.ended.set()

            def reply(
                self, status: int, body: bytes, headers: Mapping[str, str] | None = None
            ) -> None:
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"


class LambdaFunction:
    """A process that answers invocations. log: what it has written, whole after `stop`."""

    def __init__(
        self, api: RuntimeApi, environ: Mapping[str, str], log: Path, inside: tuple[str, ...]
    ) -> None:
        self.api = api
        self.log_path = log
        self.process = subprocess.Popen(
            [*inside, sys.executable, "-m", "awslambdaric", HANDLER],
            cwd="/",
            env={**bare_environ(), "AWS_LAMBDA_RUNTIME_API": api.address, **environ},
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
        )

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def invoke(self, event: Any, seconds: float = 60) -> Invocation:
        """seconds: after which Lambda would end the process."""
        invocation = Invocation(json.dumps(event).encode(), seconds)
        self.api.waiting.put(invocation)
        for _ in range(900):
            if invocation.ended.wait(0.1):
                return invocation
            if self.process.poll() is not None:
                break
        raise TimeoutError(f"{self.api.failed_start} {self.process.poll()} {self.log}")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


def bare_environ() -> dict[str, str]:
    """What Lambda gives a function: no HOME among it."""
    return {
        "PATH": os.environ["PATH"],
        "AWS_LAMBDA_FUNCTION_NAME": "f",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "3008",
        "AWS_REGION": "us-east-1",
    }


@contextmanager
def running(
    environ: Mapping[str, str], log: Path, inside: tuple[str, ...] = ()
) -> Iterator[LambdaFunction]:
    """inside: a command that starts the process in surroundings of its own."""
    api = RuntimeApi()
    function = LambdaFunction(api, environ, log, inside)
    try:
        yield function
    finally:
        function.stop()
        api.server.shutdown()
        api.server.server_close()


def url_event(
    body: Any,
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "POST",
    encoded: bool = False,
) -> dict[str, Any]:
    """A function URL's event, payload 2.0. body: bytes as they are, anything else as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/",
        "rawQueryString": "",
        "headers": {"content-type": "application/json", **(headers or {})},
        "requestContext": {
            "accountId": "anonymous",
            "domainName": "abc.lambda-url.us-east-1.on.aws",
            "http": {"method": method, "path": "/", "protocol": "HTTP/1.1", "sourceIp": "1.2.3.4"},
            "requestId": "e1506fd5-9e7b-434f-bd42-4f8fa224b599",
            "routeKey": "$default",
            "stage": "$default",
        },
        "body": base64.b64encode(raw).decode() if encoded else raw.decode(),
        "isBase64Encoded": encoded,
    }


def message(identifier: str, body: str, group: str | None = None) -> dict[str, Any]:
    """One SQS message of an event."""
    attributes = {"ApproximateReceiveCount": "1"}
    if group is not None:
        attributes["MessageGroupId"] = group
    return {
        "messageId": identifier,
        "receiptHandle": "r",
        "body": body,
        "attributes": attributes,
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:0:q",
    }


def created_event(bucket: str, *keys: str) -> dict[str, Any]:
    """S3's notification; keys as S3 writes them, as in a form."""
    return {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": 1}},
            }
            for key in keys
        ]
    }
