"""A gateway whose disk is full: nobody new gets in, nobody is thrown out, nothing is harmed."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browsing import Browser
from door import running_door
from login_server import PASSWORD, command, running_login
from PIL import Image
from test_gateway_uploads import picture, send
from toy_comfyui import running_toy

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


def large_picture() -> bytes:
    """3 MB that cannot be packed."""
    noise = np.random.default_rng(1).integers(0, 256, (1000, 1000, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()


def test_a_picture_that_does_not_fit_is_refused_in_words_and_a_smaller_one_is_not(
    tmp_path: Path,
) -> None:
    with (
        small_disk(tmp_path / "small", kib=2048) as disk,
        running_toy() as toy,
        running_door(disk, toy.address) as door,
    ):
        # What each leaves in the record must find room, too, though not for ever.
        for _ in range(60):
            answer = send(door, large_picture())
            assert answer.status == 507
            error = json.loads(answer.text)["error"]
            assert error["code"] == "room" and "no room" in error["message"]
        assert send(door, picture()).status == 200
        assert len(toy.seen()) == 1
        uploads = [line["outcome"] for line in door.record() if line["kind"] == "upload"]
        assert uploads == ["refused"] * 60 + ["taken"]


def test_a_small_temporary_folder_is_no_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container, where it is in memory."""
    with small_disk(tmp_path / "small", kib=512) as disk, running_toy() as toy:
        monkeypatch.setenv("TMPDIR", str(disk))
        with running_door(tmp_path / "gateway", toy.address) as door:
            assert send(door, large_picture()).status == 200
        assert not list(tmp_path.glob("gateway/.upload-*"))
