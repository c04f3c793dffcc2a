"""Pipes that close, terminals of few letters, disks that are full: one line, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "heliochrome"]


def run(
    *arguments: str, environ: dict[str, str] | None = None, **streams: int
) -> subprocess.CompletedProcess[bytes]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    return subprocess.run(
        [*COMMAND, *arguments],
        env=os.environ | (environ or {}),
        timeout=60,
        check=False,
        **pipes,  # type: ignore[call-overload]
    )


@pytest.fixture
def nobody_reads() -> Iterator[int]:
    """The writing end of a pipe whose reader has gone, as `head -1` goes."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.mark.usefixtures("without_model")
def test_a_reader_that_has_gone_ends_it_quietly(nobody_reads: int):
    done = run("models", "list", stdout=nobody_reads)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.usefixtures("without_model")
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_output_that_cannot_be_written_is_one_line():
    with Path("/dev/full").open("wb") as full:
        done = run("models", "list", stdout=full.fileno())
    assert done.returncode == 2
    assert done.stderr == b"heliochrome: No space left on device\n"


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", b"\\u5bb6"), ("utf-8", "家".encode())])
def test_a_name_the_terminal_cannot_show_stops_nothing(tmp_path: Path, encoding: str, shown: bytes):
    done = run("sample", str(tmp_path / "家.jpg"), environ={"PYTHONIOENCODING": encoding})
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith(shown + b".jpg")
    assert (tmp_path / "家.jpg").stat().st_size > 1000
    done = run("sample", str(tmp_path / "家.jpg"), environ={"PYTHONIOENCODING": encoding})
    assert done.returncode == 2 and shown in done.stderr and b"already there" in done.stderr


def test_an_error_of_the_system_is_one_line(tmp_path: Path):
    (tmp_path / "file").touch()
    blocked = {"HELIOCHROME_MODELS": "x" * 300, "HELIOCHROME_CACHE": str(tmp_path / "file")}
    done = run("models", "list", environ=blocked)
    assert done.returncode == 2
    assert done.stderr.startswith(b"heliochrome: xxx")
    assert done.stderr.endswith(b"xxx/ddcolor_v2.safetensors: File name too long\n")
    assert done.stderr.count(b"\n") == 1
