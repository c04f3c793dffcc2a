"""A gateway whose disk is full: nobody new gets in, nobody is thrown out, nothing is harmed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import Browser
from login_server import PASSWORD, command, running_login


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """512 KiB of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root on Linux can make a small disk")
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", folder], check=False)
    if made.returncode != 0:
        pytest.skip("this machine does not let us make a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(file: Path) -> None:
    with file.open("wb", buffering=0) as full:
        for size in (4096, 1):
            try:
                while True:
                    full.write(b"x" * size)
            except OSError:
                continue


def test_a_full_disk_lets_nobody_in_and_throws_nobody_out(small_disk: Path) -> None:
    with running_login(small_disk) as login:
        inside, outside = Browser(login.address), Browser(login.address)
        inside.sign_in("ben")
        before = (small_disk / "users.json").read_bytes()
        filler = small_disk / "filler"
        fill(filler)
        # The record's last block still takes a few lines.
        answers = [Browser(login.address).sign_in("ada") for _ in range(30)]
        assert answers[-1].status == 503 and "cannot sign anybody in" in answers[-1].text
        given = {"Authorization": "Bearer heliochrome_wrong"}
        assert Browser(login.address, given).ask("GET", "/who").status == 503
        done = command(login.environ, "user", "passwd", "ada", "--stdin", stdin="another good one")
        assert done.returncode == 2 and "Free some room" in done.stderr
        assert (small_disk / "users.json").read_bytes() == before
        assert json.loads(inside.ask("GET", "/who").text)["name"] == "ben"
        filler.unlink()
        assert outside.sign_in("ada", PASSWORD).status == 303
        done = command(login.environ, "audit", "verify")
        assert done.returncode == 0, done.stderr
    assert command(login.environ, "audit", "verify").returncode == 0
    assert not list(small_disk.glob(".*.part"))
