"""Debian's Chromium as a printer: a page as PDF, a drawing as PNG. It reaches no network."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

_LIMIT_S: Final = 180
_FLAGS: Final = (
    "--headless",
    "--no-sandbox",  # it may be root's, and what it opens is ours
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    # Nobody listens there; without the second, pages of this machine itself would be fetched.
    "--proxy-server=127.0.0.1:9",
    "--proxy-bypass-list=<-loopback>",
)


class NotPrinted(Exception):
    """What is missing or went wrong, and what to do."""


def pdf(html: str, target: Path) -> None:
    """html: a whole document that names no other file."""
    _run(html, target, f"--print-to-pdf={target}", "--no-pdf-header-footer",
         "--generate-pdf-document-outline")  # fmt: skip


def png(svg: str, target: Path, size: tuple[int, int], scale: int = 2) -> None:
    """size: of the drawing in its own units; the picture has `scale` times as many pixels."""
    html = f'<!doctype html><meta charset="utf-8"><style>body{{margin:0}}</style>{svg}'
    _run(html, target, f"--screenshot={target}", f"--window-size={size[0]},{size[1]}",
         f"--force-device-scale-factor={scale}", "--hide-scrollbars")  # fmt: skip


def _run(html: str, target: Path, *options: str) -> None:
    name = os.environ.get("CHROMIUM", "chromium")
    program = shutil.which(name)
    if program is None:
        raise NotPrinted(
            f"Chromium is missing: expected the program {name}. Install it (apt-get install "
            "chromium fonts-noto-cjk), or name another in CHROMIUM."
        )
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(html, encoding="utf-8")
        command = [program, *_FLAGS, f"--user-data-dir={folder}/profile", *options, page.as_uri()]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_LIMIT_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise NotPrinted(f"{target.name}: Chromium did not end in {_LIMIT_S} s.") from error
    if done.returncode or not target.is_file() or not target.stat().st_size:
        said = done.stderr.strip().splitlines()[-1:] or ["nothing"]
        raise NotPrinted(f"{target.name} was not made: Chromium said {said[0]!r}.")
