"""A gateway whose disk is full: nobody new gets in, nobody is thrown out, nothing is harmed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import Browser
from login_server import PASSWORD, command, running_login

from small_disk import fill, small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small", kib=512) as folder:
        yield folder


def test_a_full_disk_lets_nobody_in_and_throws_nobody_out(disk: Path) -> None:
    with running_login(disk) as login:
        inside, outside = Browser(login.address), Browser(login.address)
        inside.sign_in("ben")
        before = (disk / "users.json").read_bytes()
        filler = disk / "filler"
        fill(filler)
        # The record's last block still takes a few lines.
        answers = [Browser(login.address).sign_in("ada") for _ in range(30)]
        assert answers[-1].status == 503 and "cannot sign anybody in" in answers[-1].text
        given = {"Authorization": "Bearer heliochrome_wrong"}
        assert Browser(login.address, given).ask("GET", "/who").status == 503
        done = command(login.environ, "user", "passwd", "ada", "--stdin", stdin="another good one")
        assert done.returncode == 2 and "Free some room" in done.stderr
        assert (disk / "users.json").read_bytes() == before
        assert json.loads(inside.ask("GET", "/who").text)["name"] == "ben"
        filler.unlink()
        assert outside.sign_in("ada", PASSWORD).status == 303
        done = command(login.environ, "audit", "verify")
        assert done.returncode == 0, done.stderr
    assert command(login.environ, "audit", "verify").returncode == 0
    assert not list(disk.glob(".*.part"))
