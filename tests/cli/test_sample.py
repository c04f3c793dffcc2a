"""`heliochrome sample`: the format the name says, whole or not there."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from heliochrome.cli import main


def sample(path: Path) -> int:
    return main(["sample", str(path)])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.jpg", "JPEG"), ("a.jpeg", "JPEG"), ("a.PNG", "PNG"), ("new/folder/a.png", "PNG")],
)
def test_draws_what_the_name_says(tmp_path: Path, name: str, expected: str):
    assert sample(tmp_path / name) == 0
    with Image.open(tmp_path / name) as picture:
        assert (picture.format, picture.size) == (expected, (960, 720))
        picture.load()


@pytest.mark.parametrize("name", ["a.pdf", "a.webp", "a.tif", "a.jp2", "a", ".jpg", "a.jpg.txt"])
def test_refuses_every_other_name(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]):
    assert sample(tmp_path / name) == 2
    assert "expected a file name that ends in one of .jpg, .jpeg, .png." in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "a.jpg").write_bytes(b"mine")
    assert sample(tmp_path / "a.jpg") == 2
    assert "a.jpg is already there" in capsys.readouterr().err
    assert (tmp_path / "a.jpg").read_bytes() == b"mine"


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file/a.jpg", tmp_path / "file/b/a.jpg"):
        assert sample(path) == 2
        error = capsys.readouterr().err
        assert f"{path} could not be written: cannot make its folder" in error


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.name == "nt" or os.geteuid() != 0 or subprocess.run(command, check=False).returncode:
        pytest.skip("mounting a small disk needs root and the right to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_nothing(full_disk: Path, capsys: pytest.CaptureFixture[str]):
    assert sample(full_disk / "a.png") == 2
    assert "No space left on device" in capsys.readouterr().err
    assert list(full_disk.iterdir()) == []
