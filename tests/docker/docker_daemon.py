"""A Docker daemon of its own, with nothing of the machine's."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_READY_S = 60


@contextmanager
def docker_daemon(storage: Path, folder: Path) -> Iterator[str]:
    """Its address, for DOCKER_HOST. storage: for images; folder: for its sockets and its log."""
    address = f"unix://{folder}/docker.sock"
    command = [
        "dockerd", "--host", address, "--data-root", storage, "--exec-root", folder / "exec",
        "--pidfile", folder / "pid", "--bip", "10.213.0.1/24",
        "--default-address-pool", "base=10.214.0.0/16,size=24",
    ]  # fmt: skip
    log = folder / "dockerd.log"
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
    try:
        end = time.monotonic() + _READY_S
        while not (folder / "docker.sock").exists() or "API listen" not in log.read_text():
            assert process.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=60)
