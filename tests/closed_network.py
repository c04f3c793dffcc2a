"""Run a program where there is no network, and hear which names it asks for.

A namespace with a loopback of its own, and a name server there that knows nobody. What runs inside
is this file as a program: the rest of its arguments is the command.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from name_queries import HEADER, asked_name

_SET_FLAGS: Final = 0x8914  # SIOCSIFFLAGS
_UP: Final = 0x41  # IFF_UP | IFF_RUNNING
_NOT_FOUND: Final = b"\x81\x83"  # RFC 1035, 4.1.1: an answer, and that there is no such name


def why_not() -> str | None:
    """Why it cannot be done here; None where it can."""
    if shutil.which("unshare") is None:
        return "there is no unshare (util-linux)"
    tried = subprocess.run(["unshare", "-rnm", "true"], capture_output=True, check=False)
    return None if tried.returncode == 0 else "this user may make no network namespace"


def names_asked(
    command: Sequence[str], environ: Mapping[str, str]
) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder, "names.json")
        done = subprocess.run(
            ["unshare", "-rnm", sys.executable, __file__, folder, *command],
            env=dict(environ), capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done, set(json.loads(said.read_text()))


def _inside(folder: Path, command: Sequence[str]) -> int:
    for name, text in (("resolv.conf", "nameserver 127.0.0.1"), ("nsswitch.conf", "hosts: dns")):
        (folder / name).write_text(text)
        target = Path("/etc", name).resolve()
        subprocess.run(["mount", "--bind", folder / name, target], check=True)
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh", b"lo", _UP))
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    asked: set[str] = set()
    hearing = threading.Thread(target=_answer, args=(server, asked), daemon=True)
    hearing.start()
    code = subprocess.run(command, check=False).returncode
    if hearing.is_alive():  # else nothing is written, and whoever asked fails
        (folder / "names.json").write_text(json.dumps(sorted(asked)))
    return code


def _answer(server: socket.socket, asked: set[str]) -> None:
    while True:
        query, asker = server.recvfrom(512)
        asked.add(asked_name(query))
        server.sendto(query[:2] + _NOT_FOUND + query[4:6] + bytes(6) + query[HEADER:], asker)


if __name__ == "__main__":
    os._exit(_inside(Path(sys.argv[1]), sys.argv[2:]))  # the thread waits for ever
