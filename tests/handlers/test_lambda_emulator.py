"""AWS's own emulator (aws-lambda-rie, from the aws-sam-cli wheel) in front of the real handler."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handler_calls import GOOD, picture_of, pixels_of
from lambda_runtime import HANDLER, bare_environ, created_event, url_event

from object_storage import free_port

MACHINES = {"x86_64": "x86_64", "aarch64": "arm64"}
TIMEOUT_S = 30


def emulator() -> Path:
    if sys.platform != "linux" or platform.machine() not in MACHINES:
        pytest.skip(f"the emulator does not run on {sys.platform} {platform.machine()}")
    found = importlib.util.find_spec("samcli")
    if found is None or not found.submodule_search_locations:
        pytest.skip("AWS's emulator: pip install --no-deps aws-sam-cli")
    folder = Path(found.submodule_search_locations[0])
    return folder / "local" / "rapid" / f"aws-lambda-rie-{MACHINES[platform.machine()]}"


@pytest.fixture(scope="module")
def invoke(environ: dict[str, str], tmp_path_factory: Any) -> Iterator[Callable[[Any], Any]]:
    pytest.importorskip("awslambdaric", reason="Lambda's runtime client: pip install awslambdaric")
    program = emulator()
    front, behind = free_port(), free_port()
    log = tmp_path_factory.mktemp("emulator") / "log"
    process = subprocess.Popen(
        [
            str(program),
            f"--runtime-interface-emulator-address=127.0.0.1:{front}",
            f"--runtime-api-address=127.0.0.1:{behind}",
            sys.executable,
            "-m",
            "awslambdaric",
            HANDLER,
        ],
        cwd="/",
        env={**bare_environ(), **environ, "AWS_LAMBDA_FUNCTION_TIMEOUT": str(TIMEOUT_S)},
        stdout=log.open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{front}/2015-03-31/functions/function/invocations"

    def call(event: Any) -> Any:
        request = urllib.request.Request(address, json.dumps(event).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=2 * TIMEOUT_S) as answer:
            return json.load(answer)

    try:
        wait_for(front, process, log)
        yield call
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"The emulator did not start: {log.read_text()}")


def test_the_emulator_gets_pictures_and_refusals(invoke: Callable[[Any], Any]) -> None:
    first, refused, second = (
        invoke(url_event(body)) for body in (GOOD, {**GOOD, "width": 7}, GOOD)
    )
    assert (first["statusCode"], refused["statusCode"], second["statusCode"]) == (200, 400, 200)
    one, other = (
        pixels_of(picture_of(json.loads(answer["body"])["images"][0])) for answer in (first, second)
    )
    assert np.array_equal(one, other)
    assert json.loads(refused["body"])["error"]["code"] == "bad_setting"


def test_the_emulator_gets_the_picture_itself(invoke: Callable[[Any], Any]) -> None:
    answer = invoke(url_event(GOOD, {"accept": "image/*"}))
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (200, True)


def test_the_emulator_gets_an_error_where_an_event_must_come_again(
    invoke: Callable[[Any], Any],
) -> None:
    answer = invoke(created_event("photos", "in/a.png"))
    assert answer["errorType"] == "NotColoured"
    assert "not_configured" in answer["errorMessage"]
