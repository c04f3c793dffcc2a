"""The libraries that we run on report nothing to anybody."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

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
