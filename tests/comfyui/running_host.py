"""A real ComfyUI process, spoken to the way its own frontend does: HTTP and WebSocket."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import aiohttp

REPOSITORY = Path(__file__).parents[2]
LAUNCHER = Path(__file__).with_name("launch_host.py")
START_LIMIT_S = 180
RUN_LIMIT_S = 120
# BinaryEventTypes in the host's protocol.py
PREVIEW_EVENT = 1
TEXT_EVENT = 3

Graph = dict[str, Any]


class Refused(Exception):
    """The host did not accept the graph; `answer` is its JSON."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__(json.dumps(answer, indent=1))
        self.answer = answer


@dataclass
class Run:
    """What one prompt gave. events: (type, data) in order; texts: (node id, text on the node);
    previews: the picture files that were shown meanwhile."""

    prompt_id: str
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    previews: list[bytes] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [data for name, data in self.events if name == kind]

    @property
    def failure(self) -> str | None:
        errors = self.of("execution_error")
        return errors[0]["exception_message"] if errors else None


class RunningHost:
    """Start with `with`; everything the host writes lies below `base`."""

    def __init__(self, folder: Path, base: Path) -> None:
        self.folder, self.base = folder, base
        self.log = base / "host.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{probe.getsockname()[1]}"

    def __enter__(self) -> RunningHost:
        for name in ("custom_nodes", "models/ddcolor", "input", "output"):
            (self.base / name).mkdir(parents=True, exist_ok=True)
        # Every ComfyUI has this picture, and the shipped workflows start with it.
        shutil.copy(self.folder / "input" / "example.png", self.base / "input")
        paths = self.base / "extra_model_paths.yaml"
        paths.write_text(json.dumps({"heliochrome": {"custom_nodes": str(custom_nodes())}}))
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [_python(self.folder), LAUNCHER, self.folder, *self._options(paths)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(self.base),
            )
        deadline = time.monotonic() + START_LIMIT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise RuntimeError(f"{self.folder} did not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.3)
        self.said_at_start = self.log.read_text()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _options(self, paths: Path) -> list[str]:
        return [
            *("--cpu", "--disable-api-nodes", "--listen", "127.0.0.1"),
            *("--port", self.url.rsplit(":")[-1]),
            *("--base-directory", str(self.base), "--extra-model-paths-config", str(paths)),
            *("--database-url", "sqlite:///:memory:"),
        ]

    @cached_property
    def has_diffusion(self) -> bool:
        """Whether its Python has what the Stable Diffusion nodes run on."""
        program = "import openvino_genai, openvino_tokenizers"
        return subprocess.run([_python(self.folder), "-c", program], check=False).returncode == 0

    def _answers(self) -> bool:
        try:
            self.get("/system_stats")
        except OSError:
            return False
        return True

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + urllib.parse.quote(path, "/?=&")) as answer:
            return answer.read()

    def json(self, path: str) -> Any:
        return json.loads(self.get(path))

    def post(self, path: str, body: dict[str, Any]) -> None:
        data, kind = json.dumps(body).encode(), {"Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(self.url + path, data, kind)).close()

    def upload(self, picture: Path) -> str:
        """Put a picture into the input folder as the frontend does; gives its name there."""

        async def post() -> str:
            form = aiohttp.FormData()
            form.add_field("image", picture.read_bytes(), filename=picture.name)
            async with (
                aiohttp.ClientSession(self.url) as session,
                session.post("/upload/image", data=form) as answer,
            ):
                return (await answer.json())["name"]

        return asyncio.run(post())

    def run(self, graph: Graph, watch: Callable[[str], str | None] = lambda event: None) -> Run:
        """Queue a graph and follow it to its end. `watch` sees each event's type and may
        name a route to POST to. Raises Refused."""
        return asyncio.run(asyncio.wait_for(self._run(graph, watch), RUN_LIMIT_S))

    async def _run(self, graph: Graph, watch: Callable[[str], str | None]) -> Run:
        client = uuid.uuid4().hex
        async with aiohttp.ClientSession(self.url) as session:
            async with session.ws_connect(f"/ws?clientId={client}", max_msg_size=0) as events:
                body = {"prompt": graph, "client_id": client}
                async with session.post("/prompt", json=body) as answer:
                    accepted = await answer.json()
                if accepted.get("node_errors") or "prompt_id" not in accepted:
                    raise Refused(accepted)
                run = Run(accepted["prompt_id"])
                async for message in events:
                    if message.type is aiohttp.WSMsgType.BINARY:
                        _note_binary(run, message.data)
                        continue
                    event = json.loads(message.data)
                    run.events.append((event["type"], event["data"]))
                    if route := watch(event["type"]):
                        async with session.post(route, json={}):
                            pass
                    if _is_last(event, run.prompt_id):
                        break
            async with session.get(f"/history/{run.prompt_id}") as answer:
                run.outputs = (await answer.json()).get(run.prompt_id, {}).get("outputs", {})
        return run


def custom_nodes() -> Path:
    return REPOSITORY / "custom_nodes"


def _python(folder: Path) -> str:
    own = folder / ".venv" / "bin" / "python"
    return (
        str(own) if own.exists() else os.environ.get("HELIOCHROME_COMFYUI_PYTHON", sys.executable)
    )


def _environment(base: Path) -> dict[str, str]:
    """Ours, without what the developer's own models and caches would change."""
    kept = {name: value for name, value in os.environ.items() if "HELIOCHROME" not in name}
    return {**kept, "HELIOCHROME_CACHE": str(base / "cache"), "HELIOCHROME_OFFLINE": "1"}


def _is_last(event: dict[str, Any], prompt_id: str) -> bool:
    if event["data"].get("prompt_id") != prompt_id:
        return False
    ended = event["type"] in ("execution_error", "execution_interrupted")
    return ended or (event["type"] == "executing" and event["data"]["node"] is None)


def _note_binary(run: Run, message: bytes) -> None:
    kind, word = (int.from_bytes(message[at : at + 4], "big") for at in (0, 4))
    if kind == TEXT_EVENT:  # the word is the length of the node's id
        run.texts.append((message[8 : 8 + word].decode(), message[8 + word :].decode()))
    elif kind == PREVIEW_EVENT:  # the word is the file format
        run.previews.append(message[8:])
