"""Debian's chromium, driven by one of the scripts in tests/browser."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

_SCRIPTS: Final = Path(__file__).parent / "browser"
_CHROMIUM: Final = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))


def drive(script: str, order: Mapping[str, Any], limit_s: float) -> dict[str, Any]:
    """What the script says at its end; skips the test where there is no browser."""
    if not _CHROMIUM.exists():
        pytest.skip(
            f"{_CHROMIUM} is missing: apt-get install chromium, or name another in CHROMIUM"
        )
    if not (_SCRIPTS / "node_modules" / "playwright-core").exists():
        pytest.skip("playwright-core is missing: run `npm ci` in tests/browser")
    done = subprocess.run(
        [shutil.which("node") or "node", script, json.dumps(order)],
        cwd=_SCRIPTS, capture_output=True, text=True, timeout=limit_s, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
