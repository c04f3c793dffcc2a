"""A machine that this one is the router of: a network namespace with a server in it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Of TEST-NET-3, RFC 5737.
_HERE, _THERE, _PORT = "203.0.113.1", "203.0.113.2", 8000
_SERVER = f"""
import socket
with socket.create_server(("{_THERE}", {_PORT})) as server:
    print("listening", flush=True)
    while True:
        server.accept()[0].sendall(b"hello")
"""


@contextmanager
def machine_outside() -> Iterator[tuple[str, int]]:
    """Its address and port: who connects is told hello."""
    name = f"outside{os.getpid()}"
    link = f"o{os.getpid()}"

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    ip("netns", "add", name)
    try:
        ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("addr", "add", f"{_HERE}/30", "dev", link)
        ip("link", "set", link, "up")
        ip("-n", name, "addr", "add", f"{_THERE}/30", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        ip("-n", name, "route", "add", "default", "via", _HERE)
        server = subprocess.Popen(
            ["ip", "netns", "exec", name, sys.executable, "-c", _SERVER], stdout=subprocess.PIPE
        )
        try:
            assert server.stdout and server.stdout.readline() == b"listening\n"
            yield _THERE, _PORT
        finally:
            server.kill()
            server.wait()
    finally:
        ip("netns", "del", name)
