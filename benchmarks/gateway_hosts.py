"""The servers around the gateway in its benchmark: nginx, the sink, and the gateway itself."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
_START_S: Final = 10.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")

_CONFIG: Final = """
worker_processes {workers};
pid {folder}/pid;
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  {content}
}}
"""
FILES: Final = "server {{ listen 127.0.0.1:{port}; root {root}; }}"
# The same addresses as the gateway's. Its passwords are what `htpasswd -m` makes of them.
PROXY: Final = """
  upstream host {{ server 127.0.0.1:{host}; keepalive 64; keepalive_requests 100000000; }}
  upstream sink {{ server 127.0.0.1:{sink}; keepalive 4; }}
  server {{
    listen 127.0.0.1:{port};
    auth_basic "bench";
    auth_basic_user_file {passwords};
    client_max_body_size 300m;
    proxy_http_version 1.1;
    proxy_request_buffering off;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    location /comfyui/ {{ proxy_pass http://host/; }}
    location = /comfyui/upload/image {{ proxy_pass http://sink; }}
    location /buffered/ {{ proxy_pass http://sink; client_body_buffer_size 256k; }}
    location / {{ proxy_pass http://sink; }}
  }}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@contextmanager
def running_nginx(folder: Path, workers: str, content: str) -> Iterator[subprocess.Popen[bytes]]:
    """content: of its http block, formatted."""
    folder.mkdir()
    config = folder / "nginx.conf"
    config.write_text(_CONFIG.format(workers=workers, folder=folder, content=content))
    process = subprocess.Popen(
        ["nginx", "-p", str(folder), "-c", str(config), "-e", "stderr", "-g", "daemon off;"]
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=10)


@contextmanager
def running_sink() -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, str(HERE / "gateway_sink.py")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(timeout=10)
        process.stdout.close()


def debians_python() -> str | None:
    """Another Python than this one that this one's packages fit."""
    found = Path("/usr/bin/python3")
    if not found.exists() or found.resolve() == Path(sys.executable).resolve():
        return None
    asked = [str(found), "-c", "import sys; print(sys.version_info[:2])"]
    said = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    return str(found) if said == str(tuple(sys.version_info[:2])) else None


@contextmanager
def running_gateway(python: str, environ: dict[str, str]) -> Iterator[tuple[int, int]]:
    """Its port and its process's id. environ: as tests/gateway make it."""
    packages = sysconfig.get_path("purelib")
    process = subprocess.Popen(
        [python, "-m", "heliochrome_gateway", "serve"], stdout=subprocess.PIPE, text=True,
        env={**environ, "PYTHONPATH": os.pathsep.join([environ["PYTHONPATH"], packages])},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline().strip().rstrip("/").rpartition(":")[2]), process.pid
    finally:
        process.terminate()
        process.wait(timeout=20)
        process.stdout.close()


def wait_for(port: int) -> None:
    end = time.monotonic() + _START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def busy_cores(seconds: float = 2.0) -> float:
    """How many cores are at work: others', where it is asked while nothing of ours is."""

    def idle_ticks() -> int:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()
        return int(fields[4]) + int(fields[5])  # idle, and waiting for a disk

    before, start = idle_ticks(), time.perf_counter()
    time.sleep(seconds)
    idle = (idle_ticks() - before) / _TICKS / (time.perf_counter() - start)
    return max(0.0, round(len(os.sched_getaffinity(0)) - idle, 2))


def cpu_seconds(pid: int) -> float:
    """Of a process, its threads and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / _TICKS
    return own + sum(cpu_seconds(int(child)) for child in children)
