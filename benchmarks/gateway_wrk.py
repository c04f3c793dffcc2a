"""wrk, the load generator: a user's requests, and others' guesses at passwords."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import gateway_hosts as hosts

SMALL: Final = "/comfyui/assets/a.js"
_GUESSING: Final = 64
_UNIT_MS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0}
# Each guess from another address and for one of many names: none is locked out, all are checked.
_GUESS: Final = """
local known, n = {%s}, 0
request = function()
  n = n + 1
  local from = string.format("10.%%d.%%d.%%d", n / 65536 %% 256, n / 256 %% 256, n %% 256)
  local header = {["X-Forwarded-For"] = from, ["Authorization"] = known[n %% #known + 1]}
  return wrk.format("GET", nil, header)
end
"""


@dataclass
class Server:
    """header: Authorization of a user who is let in."""

    port: int
    pid: int
    header: str


def ask(server: Server, seconds: int, connections: int, *more: str) -> dict[str, float]:
    """wrk's figures, and the server's processor time for a request."""
    before = hosts.cpu_seconds(server.pid)
    said = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", *more,
         "-H", f"Authorization: {server.header}", f"http://127.0.0.1:{server.port}{SMALL}"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    spent = hosts.cpu_seconds(server.pid) - before
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    late = dict(re.findall(r"(50|99)%\s+(\d+\.\d+(?:us|ms|s))", said))
    requests = re.search(r"(\d+) requests in", said)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert requests and rate, said
    return {
        "per_s": float(rate[1]),
        "p50_ms": _ms(late["50"]),
        "p99_ms": _ms(late["99"]),
        "cpu_us": round(spent / int(requests[1]) * 1e6),
    }


def _ms(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)(us|ms|s)", text)
    assert found, text
    return round(float(found[1]) * _UNIT_MS[found[2]], 3)


@contextmanager
def guessing(server: Server, script: Path) -> Iterator[list[int]]:
    """What is yielded is empty until the end: then it holds how many were answered, none right."""
    process = subprocess.Popen(
        ["wrk", "-t1", f"-c{_GUESSING}", "-d60s", "-s", str(script),
         f"http://127.0.0.1:{server.port}{SMALL}"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    answered: list[int] = []
    try:
        time.sleep(0.5)
        yield answered
    finally:
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=10)
    found = re.search(r"(\d+) requests in", said)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    if not found or not refused or found[1] != refused[1]:
        raise RuntimeError(said)
    answered.append(int(found[1]))


def guesses(script: Path, headers: Iterable[str]) -> None:
    """Write wrk's script. headers: Authorization of each guess, in turn."""
    script.write_text(_GUESS % ", ".join(f'"{header}"' for header in headers))
