"""The files beside this package: what prepare-instance lays, and lists that seal-instance reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

MARKETPLACE: Final = Path(__file__).resolve().parents[1]


def pattern(name: str) -> re.Pattern[str]:
    """As grep -E and awk read it too."""
    return re.compile((MARKETPLACE / f"{name}.txt").read_text("utf-8").strip())


def listed(name: str) -> list[str]:
    return (MARKETPLACE / f"{name}.txt").read_text("utf-8").split()
