"""The libraries that we run on report nothing to anybody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import closed_network
import micro

WATCHED = ("socket.connect", "socket.getaddrinfo", "socket.sendto", "os.fork", "subprocess.Popen")
PROGRAM = """
import json, sys, time
import heliochrome
seen = []
def hook(event, details):
    if event in {watched}:
        seen.append(event)
sys.addaudithook(hook)
import {library}
time.sleep(1)  # what is sent is sent by a thread
print(json.dumps([seen, "openvino" in sys.modules]))
"""


@pytest.mark.parametrize(
    "library", ["heliochrome.core.backends.openvino", "openvino_genai", "nncf"]
)
def test_importing_a_runtime_opens_no_connection(library: str) -> None:
    # On the machines of a CI they keep quiet by themselves.
    environ = {name: text for name, text in os.environ.items() if name != "CI"}
    program = PROGRAM.format(watched=WATCHED, library=library)
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True
    )
    seen, loaded = json.loads(done.stdout.splitlines()[-1])
    assert loaded or library != "heliochrome.core.backends.openvino"
    assert seen == []


# Every runtime, and then as long as the slowest of them waited before it reported.
EVERY_RUNTIME = """
import sys, time
from pathlib import Path
import numpy as np
from heliochrome.core.backends import usable_backends
from heliochrome.core.jobs import never_cancel, no_progress
from heliochrome.core.loading import open_model
from heliochrome.core.recipe import Recipe
from heliochrome.core.store import ModelStore
from heliochrome.core.treatment import Colorization
grey = np.full((64, 64, 3), 90, np.uint8)
used = usable_backends()
for backend in used:
    model = open_model(ModelStore.from_environ(), "ddcolor_v2", backend)
    Colorization(model, Recipe("portrait")).apply(grey, no_progress, never_cancel)
print(*used)
time.sleep(15)
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    if reason := closed_network.why_not():
        pytest.skip(reason)
    micro.save(tmp_path / "models/ddcolor_v2.safetensors")
    left_out = {"CI", "ORT_DISABLE_TELEMETRY", "HELIOCHROME_OFFLINE"}
    inherited = {name: text for name, text in os.environ.items() if name not in left_out}
    own = {"HELIOCHROME_MODELS": tmp_path / "models", "HELIOCHROME_CACHE": tmp_path / "cache"}
    return {**inherited, **{name: str(folder) for name, folder in own.items()}}


def test_no_runtime_asks_for_anybody(environ: dict[str, str]) -> None:
    """Also from native code, which no hook of Python's sees."""
    done, names = closed_network.names_asked([sys.executable, "-c", EVERY_RUNTIME], environ)
    assert done.returncode == 0, done.stderr
    assert {"onnxruntime", "openvino", "torch"} <= set(done.stdout.split())
    assert names == set()


def test_whoever_asks_is_heard(environ: dict[str, str]) -> None:
    ask = "import socket; socket.getaddrinfo('Archive.example', 443)"
    done, names = closed_network.names_asked([sys.executable, "-c", ask], environ)
    assert done.returncode == 1 and names == {"archive.example"}
