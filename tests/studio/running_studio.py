"""A real studio process with its worker and a micro model, and people who ask it."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import micro

TOKEN: Final = "for-the-gateway-alone"
# In place of exporting and measuring all of them, which takes half a minute.
BACKEND: Final = "torch"
_END_S: Final = 45
_ANSWER_S: Final = 60
_OVER: Final = ("done", "failed", "cancelled")
_WITHOUT_WORKER: Final = """
import sys
from heliochrome.cli import main
from heliochrome.studio.supervisor import Supervisor
Supervisor.start = lambda self: None
sys.exit(main(["studio"]))
"""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class RunningStudio:
    """folder: the studio's own. models: where it looks for them. log: what the server and its
    worker have written to stderr."""

    address: str
    folder: Path
    process: subprocess.Popen[str]
    models: Path
    log: Path

    def ask(
        self,
        user: str,
        method: str,
        path: str,
        body: bytes | str | Any = b"",
        role: str = "user",
        **headers: str,
    ) -> Answer:
        """As the gateway asks for this person; "": as nobody. body: anything but bytes and text
        is sent as JSON. Names of headers are given with _ for -."""
        known = headers_of(user, role) if user else {}
        sent = body if isinstance(body, bytes | str) else json.dumps(body)
        given = {name.replace("_", "-"): text for name, text in headers.items()}
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=_ANSWER_S)
        try:
            connection.request(method, path, sent or None, {**known, **given})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def bring(self, user: str, photo: bytes, name: str = "photo.jpg") -> str:
        """The id of a photograph that is now here."""
        taken = self.ask(user, "POST", f"/api/v1/photos?{urlencode({'name': name})}", photo)
        assert taken.status == 201, taken.body
        found: str = taken.json["id"]
        return found

    def job(self, user: str, photos: Collection[str], preset: str, **more: Any) -> Any:
        begun = self.ask(
            user, "POST", "/api/v1/jobs", {"photos": list(photos), "preset": preset, **more}
        )
        assert begun.status == 201, begun.body
        return begun.json

    def wait(self, user: str, job: str, until: Collection[str] = _OVER) -> Any:
        """The job, once it is in one of these states."""
        found: list[Any] = []

        def reached() -> bool:
            found.append(self.ask(user, "GET", f"/api/v1/jobs/{job}").json)
            return found[-1]["state"] in until

        self.wait_until(reached)
        return found[-1]

    def wait_until(self, condition: Callable[[], bool], limit_s: float = 120) -> None:
        until = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.05)

    def worker_pid(self) -> int | None:
        """Of the worker that runs now."""
        for path in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.process.pid and b"studio.worker" in (
                    (path / "cmdline").read_bytes()
                ):
                    return int(path.name)
            except OSError:  # it has ended meanwhile
                continue
        return None

    def install_model(self) -> None:
        install(self.models)

    def attempts(self, photo: str) -> int:
        """How often a worker has begun it."""
        with closing(sqlite3.connect(self.folder / "studio.sqlite")) as base:
            row = base.execute("SELECT attempts FROM photos WHERE id = ?", (photo,)).fetchone()
        return int(row[0])

    def age(self, days: float) -> None:
        """All that is kept becomes so much older; not while the studio runs."""
        with closing(sqlite3.connect(self.folder / "studio.sqlite")) as base, base:
            base.execute(
                "UPDATE photos SET uploaded = uploaded - :by, began = began - :by, "
                "ended = ended - :by",
                {"by": days * 86_400},
            )
            base.execute("UPDATE jobs SET created = created - ?", (days * 86_400,))


def headers_of(user: str, role: str = "user") -> dict[str, str]:
    """What the gateway says of whoever asks."""
    return {"Heliochrome-Token": TOKEN, "Heliochrome-User": user, "Heliochrome-Role": role}


def environment(folder: Path, **settings: object) -> dict[str, str]:
    """Of a studio that keeps everything in `folder` and listens on any free port."""
    own = {"token": TOKEN, "folder": folder / "studio", "listen_port": 0, "backend": BACKEND}
    given = {
        f"HELIOCHROME_STUDIO_{name.upper()}": str(value)
        for name, value in {**own, **settings}.items()
    }
    places = {
        "HELIOCHROME_CACHE": str(_shared() / "cache"),
        "HELIOCHROME_MODELS": str(folder / "models"),
    }
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("HELIOCHROME")}
    return {**inherited, **places, **given}


@contextmanager
def running_studio(
    folder: Path,
    *,
    model: bool = True,
    start_worker: bool = True,
    kept: Path | None = None,
    **settings: object,
) -> Iterator[RunningStudio]:
    """model: whether one is installed. kept: where the studio keeps what it does, if not below
    `folder`. settings: become HELIOCHROME_STUDIO_*."""
    models = folder / "models"
    models.mkdir(parents=True, exist_ok=True)
    if model:
        install(models)
    environ = environment(folder, **settings)
    if kept is not None:
        environ["HELIOCHROME_STUDIO_FOLDER"] = str(kept)
    run = ["-m", "heliochrome", "studio"] if start_worker else ["-c", _WITHOUT_WORKER]
    log = folder / "studio.log"
    with log.open("a") as stderr:
        process = subprocess.Popen(
            [sys.executable, *run], env=environ, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr,
        )  # fmt: skip
    assert process.stdout is not None
    try:
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found, log.read_text()
        own = Path(environ["HELIOCHROME_STUDIO_FOLDER"])
        yield RunningStudio(found[0], own, process, models, log)
    finally:
        process.terminate()
        try:
            process.wait(timeout=_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            process.stdout.close()


def install(models: Path) -> None:
    """The session's micro model, in this folder."""
    target = models / "ddcolor_v2.safetensors"
    if not target.exists():
        shutil.copyfile(_shared() / target.name, target)


@cache
def _shared() -> Path:
    """The model and the cache of the whole session."""
    place = tempfile.TemporaryDirectory(prefix="heliochrome-studio-")
    _KEPT.append(place)
    micro.save(Path(place.name) / "ddcolor_v2.safetensors")
    return Path(place.name)


_KEPT: Final[list[tempfile.TemporaryDirectory[str]]] = []  # until the session ends
