"""`heliochrome models` as a user runs it: real processes, a real server, a real terminal."""

import fcntl
import hashlib
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from model_server import ONE, ModelServer, archive, running_server

BODY = archive(4 * ONE)
SHA = hashlib.sha256(BODY).hexdigest()
PAPER = "piddnad/ddcolor_paper/resolve/main/pytorch_model.bin"  # of the shipped catalogue
SURE = "o/sure/resolve/r/w.onnx"  # of the catalogue below
COMMAND = [sys.executable, "-m", "heliochrome", "models"]


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with running_server() as running:
        yield running


@pytest.fixture
def environ(server: ModelServer, tmp_path: Path) -> dict[str, str]:
    ours = {
        "HELIOCHROME_CACHE": str(tmp_path / "cache"),
        "HELIOCHROME_HF_ENDPOINT": server.address,
        "HELIOCHROME_MODELSCOPE_ENDPOINT": server.address,
    }
    clean = {k: v for k, v in os.environ.items() if not k.startswith("HELIOCHROME_")}
    return clean | ours


@pytest.fixture
def own_catalog(environ: dict[str, str], tmp_path: Path) -> dict[str, str]:
    source = {
        "host": "huggingface",
        "repo": "o/sure",
        "revision": "r",
        "file": "w.onnx",
        "size": len(BODY),
        "sha256": SHA,
        "checked_against": "made up",
    }
    model = {
        "id": "sure",
        "title": "T",
        "licence": "Apache-2.0",
        "sources": [source],
    }
    path = tmp_path / "catalog.json"
    path.write_text(json.dumps({"format": 1, "models": [model]}))
    return environ | {"HELIOCHROME_CATALOG": str(path)}


def models(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=environ, capture_output=True, text=True, timeout=30
    )


def listed(environ: dict[str, str]) -> dict[str, dict[str, Any]]:
    done = models(environ, "list", "--json")
    assert done.returncode == 0
    return {model["id"]: model for model in json.loads(done.stdout)}


def test_list_shows_every_model_and_the_command_that_gets_it(environ: dict[str, str]):
    done = models(environ, "list")
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["ID", "MODEL", "SIZE", "LICENCE", "STATE", "PATH"]
    row = next(line for line in lines if line.startswith("ddcolor_v2 "))
    assert "912 MB" in row and "Apache-2.0" in row and "missing" in row
    assert "ddcolor_v2 is missing: heliochrome models get ddcolor_v2" in lines
    assert {m["state"] for m in listed(environ).values()} == {"missing"}


def test_get_then_verify_without_a_published_digest(
    environ: dict[str, str], server: ModelServer, tmp_path: Path
):
    server.serve(PAPER, BODY, {"cut_after": 2 * ONE}, {})
    done = models(environ, "get", "ddcolor_paper")
    assert done.returncode == 0, done.stderr
    path = tmp_path / "cache" / "models" / "ddcolor_paper.bin"
    assert path.read_bytes() == BODY
    assert f"ddcolor_paper: downloading to {path.parent}" in done.stdout
    assert f"ddcolor_paper: {path}" in done.stdout
    assert "none of the files of ddcolor_paper whose SHA-256 is published" in done.stdout
    assert listed(environ)["ddcolor_paper"]["state"] == "first-use"

    done = models(environ, "verify")
    assert done.returncode == 0 and "has the SHA-256 first seen here on" in done.stdout
    with path.open("r+b") as file:
        file.seek(ONE)
        file.write(b"damage")
    done = models(environ, "verify", "ddcolor_paper")
    assert done.returncode == 1 and "has changed since" in done.stderr
    assert listed(environ)["ddcolor_paper"]["state"] == "mismatch"


def test_get_of_an_official_file(own_catalog: dict[str, str], server: ModelServer):
    server.serve(SURE, BODY)
    done = models(own_catalog, "get", "--all")
    assert done.returncode == 0 and "is the official file" in done.stdout
    assert listed(own_catalog)["sure"]["state"] == "catalogue"
    assert models(own_catalog, "get", "sure").returncode == 0
    assert len([path for path, _ in server.requests if path == SURE]) == 1


def test_get_refuses_wrong_content(own_catalog: dict[str, str], server: ModelServer):
    server.serve(SURE, archive(4 * ONE, seed=5))
    done = models(own_catalog, "get", "sure")
    assert done.returncode == 2 and "It was removed" in done.stderr
    assert "Traceback" not in done.stderr
    assert listed(own_catalog)["sure"]["path"] is None


def test_a_closed_port_gives_one_message(environ: dict[str, str]):
    closed = {
        "HELIOCHROME_HF_ENDPOINT": "http://127.0.0.1:9",
        "HELIOCHROME_MODELSCOPE_ENDPOINT": "http://127.0.0.1:9",
    }
    done = models(environ | closed, "get", "ddcolor_v2")
    assert done.returncode == 2
    assert "ddcolor_v2 could not be downloaded" in done.stderr
    assert "connection was refused" in done.stderr and "Traceback" not in done.stderr


def test_offline_sends_nothing(environ: dict[str, str], server: ModelServer):
    server.serve(PAPER, BODY)
    done = models(environ | {"HELIOCHROME_OFFLINE": "1"}, "get", "ddcolor_paper")
    assert done.returncode == 2 and "HELIOCHROME_OFFLINE is set" in done.stderr
    assert server.requests == []


def test_import(own_catalog: dict[str, str], tmp_path: Path):
    (tmp_path / "w.onnx").write_bytes(BODY)
    done = models(own_catalog, "import", "sure", str(tmp_path / "w.onnx"))
    assert done.returncode == 0 and "is the official file" in done.stdout
    assert models(own_catalog, "verify", "sure").returncode == 0

    (tmp_path / "page.onnx").write_bytes(b"<html>login</html>")
    done = models(own_catalog, "import", "sure", str(tmp_path / "page.onnx"))
    assert done.returncode == 2 and "is a web page" in done.stderr


def test_import_tells_when_another_file_is_found_first(own_catalog: dict[str, str], tmp_path: Path):
    folder = tmp_path / "cache" / "models"
    folder.mkdir(parents=True)
    (folder / "sure.bin").write_bytes(BODY)
    (tmp_path / "w.onnx").write_bytes(BODY)
    done = models(own_catalog, "import", "sure", str(tmp_path / "w.onnx"))
    assert done.returncode == 0 and f"{folder / 'sure.bin'} is found first" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["get"], 2, "Name a model"),
        (["get", "ddcolor_v9"], 2, "no model called 'ddcolor_v9'"),
        (["verify", "ddcolor_v9"], 2, "no model called 'ddcolor_v9'"),
        (["verify"], 1, "No model is here yet"),
        (["verify", "ddcolor_v1"], 1, "ddcolor_v1 is not on this machine"),
        (["import", "ddcolor_v1", "/nowhere.pth"], 2, "is not a file"),
        (["fetch"], 2, "invalid choice"),
    ],
)
def test_exit_codes(environ: dict[str, str], arguments: list[str], code: int, message: str):
    done = models(environ, *arguments)
    assert done.returncode == code
    assert message in done.stderr and "Traceback" not in done.stderr


def started(environ: dict[str, str], tmp_path: Path) -> "subprocess.Popen[str]":
    """`get` in the middle of its download."""
    process = subprocess.Popen(
        [*COMMAND, "get", "ddcolor_paper"], env=environ, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not any(p.stat().st_size > ONE for p in tmp_path.glob("cache/models/*.part")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    return process


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)], ids=["ctrl-c", "kill -9"]
)
@pytest.mark.parametrize(
    "step", [{"pace": 2 * ONE}, {"stall_after": 2 * ONE}], ids=["slow", "silent"]
)
def test_stopped_and_continued(
    environ: dict[str, str],
    server: ModelServer,
    tmp_path: Path,
    number: signal.Signals,
    code: int,
    step: dict[str, int],
):
    server.serve(PAPER, BODY, step, {})
    process = started(environ, tmp_path)
    asked = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == code and time.monotonic() - asked < 10
    assert "Traceback" not in errors
    assert listed(environ)["ddcolor_paper"]["state"] == "missing"

    assert models(environ, "get", "ddcolor_paper").returncode == 0
    span = [span for path, span in server.requests if path == PAPER][-1]
    assert span is not None and int(span.removeprefix("bytes=").rstrip("-")) > ONE


def test_a_terminal_gets_a_bar_on_stderr(environ: dict[str, str], server: ModelServer):
    server.serve(PAPER, BODY, {"pace": 16 * ONE})
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, "get", "ddcolor_paper"], env=environ, stdout=subprocess.PIPE, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:  # how Linux says that the other side was closed
        pass
    os.close(ours)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert b"ddcolor_paper: 100%" in shown and b"B/s" in shown
    assert b"%" not in output
