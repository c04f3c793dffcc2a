"""A disk of its own that is soon full."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, kib: int) -> Iterator[Path]:
    folder.mkdir()
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root on Linux can make a small disk")
    options = f"size={kib}k"
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], check=False)
    if made.returncode != 0:
        pytest.skip("this machine does not let us make a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(file: Path) -> None:
    with file.open("wb", buffering=0) as full:
        for size in (4096, 1):
            try:
                while True:
                    full.write(b"x" * size)
            except OSError:
                continue
