"""Pinned packages, and what our own package declares."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it

_PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def pinned(lock: Path) -> dict[str, str]:
    """Name -> version; every one of them has a SHA-256."""
    found: dict[str, str] = {}
    for entry in re.sub(r"\\\n\s*", "", lock.read_text("utf-8")).splitlines():
        if not entry.startswith("#"):
            match = re.fullmatch(r"([\w.-]+)==(\S+) (--hash=sha256:[0-9a-f]{64} ?)+", entry)
            assert match, entry
            found[match[1].lower().replace("_", "-")] = match[2]
    return found


def declared(*extras: str) -> list[Requirement]:
    """The package's dependencies with those of its extras, followed into each other."""
    project = _declaration()["project"]
    found = [Requirement(text) for text in project["dependencies"]]
    waiting = list(extras)
    while waiting:
        for text in project["optional-dependencies"][waiting.pop()]:
            requirement = Requirement(text)
            if requirement.name == project["name"]:
                waiting += requirement.extras
            else:
                found.append(requirement)
    return found


def needed_to_build() -> list[Requirement]:
    return [Requirement(text) for text in _declaration()["build-system"]["requires"]]


def _declaration() -> dict[str, Any]:
    return tomllib.loads(_PROJECT.read_text("utf-8"))
