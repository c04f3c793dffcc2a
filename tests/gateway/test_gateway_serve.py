"""`heliochrome-gateway serve`, from the first start to the end."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from browsing import Browser
from login_server import command, environment


@contextmanager
def serving(environ: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """The process, its address, and all that it said before that."""
    process = subprocess.Popen(
        [sys.executable, "-m", "heliochrome_gateway", "serve"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environ,
    )  # fmt: skip
    assert process.stdout is not None
    said = ""
    try:
        for line in process.stdout:
            said += line
            if found := re.search(r"Heliochrome is at (\S+)/\n", line):
                yield process, found[1], said
                return
        raise AssertionError(said)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_first_start_shows_a_password_that_signs_in_and_the_second_none(
    tmp_path: Path,
) -> None:
    environ = environment(tmp_path)
    with serving(environ) as (process, address, said):
        shown = re.search(r"sign in as admin with the password (\S+)\n", said)
        assert shown, said
        browser = Browser(address)
        assert browser.sign_in("admin", shown[1]).status == 303
        assert browser.ask("POST", "/logout", Origin=address).status == 303
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    with serving(environ) as (_, address, said):
        assert "password" not in said
        assert Browser(address).sign_in("admin", shown[1]).status == 303
    done = command(environ, "audit", "verify")
    assert done.returncode == 0, done.stderr
    kinds = re.findall(r'"kind":"(\w+)"', command(environ, "audit", "tail").stdout)
    assert kinds == ["admin", "start", "login", "logout", "stop", "start", "login"]


def test_a_weak_password_of_the_operators_stops_the_start(tmp_path: Path) -> None:
    environ = {**environment(tmp_path), "HELIOCHROME_PASSWORD": "short"}
    done = command(environ, "serve")
    assert done.returncode == 2 and "10 to 256 characters" in done.stderr and not done.stdout


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = command(environment(tmp_path, listen_port=taken.getsockname()[1]), "serve")
    assert done.returncode == 2 and "LISTEN_PORT name a free one" in done.stderr


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX-A: b\r\n"])
def test_a_head_that_never_ends_holds_no_connection(tmp_path: Path, sent: bytes) -> None:
    """Slow-loris: `serving._HEAD_S` would be 30 s; here the module's own value is lowered."""
    script = (
        "import sys; from heliochrome_gateway import serving, cli; serving._HEAD_S = 1.0; "
        "sys.exit(cli.main(['serve']))"
    )
    environ = environment(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environ
    )
    assert process.stdout is not None
    try:
        address = next(
            found[1] for line in process.stdout if (found := re.search(r"at http://(\S+)/\n", line))
        )
        host, port = address.split(":")
        with socket.create_connection((host, int(port)), timeout=20) as slow:
            slow.sendall(sent)
            began = time.monotonic()
            while slow.recv(1000):
                continue
            assert time.monotonic() - began < 10
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
