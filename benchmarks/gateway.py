"""The gateway against nginx with passwords, in front of the same hosts.

    python benchmarks/gateway.py       # writes results/gateway.{json,md}; takes 200 seconds

Needs wrk, nginx and htpasswd (Debian: wrk nginx apache2-utils). Everything is on loopback, on the
same cores. All take turns, round by round; a ratio is of two numbers of one round, and the median
of the rounds is told. nginx checks an apr1 hash at each request; the gateway checks Argon2id once
and then knows the password. Both keep their connections to the host.
"""

from __future__ import annotations

import argparse
import io
import json
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import gateway_hosts as hosts
import numpy as np
from gateway_report import as_page
from gateway_wrk import Server, ask, guesses, guessing
from PIL import Image

import machine

HERE: Final = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests/gateway")]

SMALL_BYTES: Final = 1024
UPLOAD_BYTES: Final = 200_000_000
CONNECTIONS: Final = 16
NAMES: Final = 2000
# Until all guesses that waited have been checked.
SETTLE_S: Final = 5
DEBIANS: Final = "gateway on Debian's Python"
UPLOADS: Final = "gateway, uploads"
# Argon2id at its usual cost; what one user may ask is not what is measured.
SETTINGS: Final = {
    "password_memory_kib": 65_536,
    "password_passes": 3,
    "refusal_pause_s": 1,
    "requests_per_s": 1_000_000,
    "request_burst": 1_000_000,
    "trusted_proxies": "127.0.0.1",
    "studio_token": "only-for-this-benchmark",
}


def send(server: Server, path: str, kind: str, body: bytes) -> float:
    """Seconds from the connection to the answer."""
    start = time.perf_counter()
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        head = (f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
                f"Authorization: {server.header}\r\nContent-Type: {kind}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n")  # fmt: skip
        connection.sendall(head.encode())
        connection.sendall(body)
        said = connection.recv(65_536)
    taken = time.perf_counter() - start
    if not said.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(said.decode(errors="replace"))
    return taken


def picture_form() -> tuple[str, bytes]:
    """As a browser sends it: an uncompressed picture of UPLOAD_BYTES."""
    width = 8000
    pixels = np.zeros((UPLOAD_BYTES // (width * 3), width, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "BMP")
    edge = "----heliochrome-benchmark"
    head = (f'--{edge}\r\nContent-Disposition: form-data; name="image"; filename="a.bmp"\r\n'
            "Content-Type: image/bmp\r\n\r\n")  # fmt: skip
    body = head.encode() + file.getvalue() + f"\r\n--{edge}--\r\n".encode()
    return f"multipart/form-data; boundary={edge}", body


@contextmanager
def running(scratch: Path) -> Iterator[dict[str, Server]]:
    """By name: nginx with one worker and with many, the gateway by password and by token, the
    same with Debian's Python, and one with the sink for ComfyUI."""
    from door import basic
    from login_server import PASSWORD, command, environment

    scratch.chmod(0o755)  # nginx's workers are another user
    root = scratch / "root"
    (root / "assets").mkdir(parents=True)
    (root / "assets/a.js").write_bytes(b"a" * SMALL_BYTES)
    passwords = scratch / "passwords"
    subprocess.run(["htpasswd", "-bcm", str(passwords), "ben", PASSWORD], check=True,
                   capture_output=True)  # fmt: skip
    with ExitStack() as stack:
        enter = stack.enter_context
        sink, host = enter(hosts.running_sink()), hosts.free_port()
        enter(hosts.running_nginx(scratch / "host", "1", hosts.FILES.format(port=host, root=root)))
        hosts.wait_for(host)
        found = {}
        for name, workers in (("nginx", "1"), ("nginx, a worker a core", "auto")):
            port = hosts.free_port()
            content = hosts.PROXY.format(port=port, host=host, sink=sink, passwords=passwords)
            process = enter(hosts.running_nginx(scratch / f"proxy-{workers}", workers, content))
            hosts.wait_for(port)
            found[name] = Server(port, process.pid, basic("ben"))
        gateways = [("gateway", host, sys.executable), (UPLOADS, sink, sys.executable)]
        if python := hosts.debians_python():
            gateways.append((DEBIANS, host, python))
        for name, upstream, python in gateways:
            environ = environment(
                scratch / name, upstream=f"http://127.0.0.1:{upstream}",
                studio=f"http://127.0.0.1:{sink}", **SETTINGS,
            )  # fmt: skip
            command(environ, "user", "add", "ben", "--role", "admin", "--stdin", stdin=PASSWORD)
            token = command(environ, "token", "add", "ben").stdout.split()[0]
            port, pid = enter(hosts.running_gateway(python, environ))
            found[name] = Server(port, pid, basic("ben"))
            found[f"{name}, by token"] = Server(port, pid, f"Bearer {token}")
        yield found


def measure_requests(servers: dict[str, Server], rounds: int, seconds: int) -> dict[str, Any]:
    names = [name for name in servers if not name.startswith(UPLOADS)]
    for name in names:
        ask(servers[name], 1, CONNECTIONS)
    found: dict[str, Any] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            found[name].append(ask(servers[name], seconds, CONNECTIONS))
    return found


def measure_uploads(servers: dict[str, Server], rounds: int) -> dict[str, list[float]]:
    plain = ("application/octet-stream", bytes(UPLOAD_BYTES))
    picture = picture_form()
    kinds = {
        "gateway": (UPLOADS, "/api/jobs", plain),
        "nginx": ("nginx", "/api/jobs", plain),
        "nginx with a buffer of 256 kB": ("nginx", "/buffered/jobs", plain),
        "gateway, a picture for ComfyUI": (UPLOADS, "/comfyui/upload/image", picture),
        "nginx, the same": ("nginx", "/comfyui/upload/image", picture),
    }
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    for turn in range(rounds + 1):
        for kind, (name, path, body) in kinds.items():
            taken = send(servers[name], path, *body)
            if turn:  # the first one is for warming up
                found[kind].append(round(taken, 3))
    return found


def measure_guessing(
    server: Server, scratch: Path, rounds: int, seconds: int
) -> dict[str, list[dict[str, float]]]:
    from door import basic

    script = scratch / "guess.lua"
    guesses(script, (basic(f"user{number}", "wrong password") for number in range(NAMES)))
    found: dict[str, list[dict[str, float]]] = {"alone": [], "guessed at": []}
    for _ in range(rounds):
        found["alone"].append(ask(server, seconds, 1))
        with guessing(server, script) as answered:
            row = ask(server, seconds, 1)
        found["guessed at"].append({**row, "guesses": answered[0]})
        time.sleep(SETTLE_S)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--output", type=Path, default=HERE / "results/gateway.json")
    args = parser.parse_args()
    others = [hosts.busy_cores()]
    with tempfile.TemporaryDirectory() as name, running(Path(name)) as servers:
        report = {
            "machine": machine.describe("aiohttp", "uvloop"),
            "python_built_with_pgo": "--enable-optimizations"
            in str(sysconfig.get_config_var("CONFIG_ARGS")),
            "requests": measure_requests(servers, args.rounds, 2),
            "uploads": measure_uploads(servers, max(3, args.rounds // 2)),
            "guessing": measure_guessing(
                servers["gateway, by token"], Path(name), max(3, args.rounds * 2 // 3), 2
            ),
        }
    report["cores_busy_with_others"] = [*others, hosts.busy_cores()]
    args.output.write_text(json.dumps(report, indent=1) + "\n")
    args.output.with_suffix(".md").write_text(as_page(report))


if __name__ == "__main__":
    main()
