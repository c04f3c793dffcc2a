"""A mounted root file system, read as its own system would read it, and nothing outside of it."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from . import dpkg

# Of the kernel, of the moment, or layers of images: not walked through.
ELSEWHERE: Final = {"proc", "sys", "dev", "run", "snap", "var/lib/docker", "var/lib/containerd"}


@dataclass
class Image:
    """A root file system. card: whether the instance has one."""

    root: Path
    card: bool = True
    max_age: timedelta = timedelta(days=30)

    def at(self, path: str) -> Path | None:
        """Where a path of the image is here, links followed as the image's own system would."""
        waiting = path.split("/")[::-1]
        way: list[str] = []
        links = 0
        while waiting:
            part = waiting.pop()
            if part in ("", "."):
                continue
            if part == "..":
                way = way[:-1]
                continue
            step = self.root.joinpath(*way, part)
            known = _known(step)
            if known is None:
                return None
            if not stat.S_ISLNK(known.st_mode):
                way.append(part)
            elif (links := links + 1) > 40:
                return None
            else:
                target = str(step.readlink())
                way = [] if target.startswith("/") else way
                waiting += target.split("/")[::-1]
        return self.root.joinpath(*way)

    def entry(self, path: str) -> Path | None:
        """As `at`, but of a link the link itself."""
        folder, _, name = path.rpartition("/")
        place = self.at(folder)
        return place / name if place is not None and _known(place / name) is not None else None

    def has(self, path: str) -> bool:
        """A link is there also where nothing is behind it."""
        return self.entry(path) is not None

    def link(self, path: str) -> str:
        """What a link says; empty where there is none."""
        found = self.entry(path)
        if found is None or not stat.S_ISLNK(found.lstat().st_mode):
            return ""
        return str(found.readlink())

    def data(self, path: str) -> bytes:
        """Of a plain file; empty where there is none."""
        found = self.at(path)
        return found.read_bytes() if found is not None and found.is_file() else b""

    def start(self, path: str) -> bytes:
        """The first 64 KiB of a plain file; of a link nothing."""
        found = self.entry(path)
        if found is None or not stat.S_ISREG(found.lstat().st_mode):
            return b""
        with found.open("rb") as stream:
            return stream.read(65536)

    def text(self, path: str) -> str:
        return self.data(path).decode("utf-8", "replace")

    def lines(self, path: str) -> list[str]:
        """Without comments and empty ones."""
        found = (line.strip() for line in self.text(path).splitlines())
        return [line for line in found if line and not line.startswith("#")]

    def names(self, folder: str, pattern: str = "*") -> list[str]:
        """Paths of what lies in a folder, sorted; hidden ones too."""
        found = self.at(folder)
        if found is None or not found.is_dir():
            return []
        names = sorted(entry.name for entry in found.iterdir())
        return [f"{folder}/{name}" for name in names if fnmatchcase(name, pattern)]

    def below(self, folder: str) -> Iterator[tuple[str, os.stat_result]]:
        """All that lies below a folder of the same disk, no link followed."""
        start = self.at(folder)
        if start is None or not start.is_dir():
            return
        device = start.lstat().st_dev
        waiting = [start]
        while waiting:
            for entry in sorted(waiting.pop().iterdir()):
                inner = entry.relative_to(self.root).as_posix()
                known = entry.lstat()
                yield inner, known
                same = known.st_dev == device and inner not in ELSEWHERE
                if stat.S_ISDIR(known.st_mode) and same:
                    waiting.append(entry)

    @cached_property
    def everything(self) -> list[tuple[str, os.stat_result]]:
        """`below` the root: several points look at all of it, and a walk of a disk takes long."""
        return list(self.below(""))

    def files(self, *folders: str) -> list[str]:
        """All below them that is no folder."""
        return [
            inner
            for folder in folders
            for inner, known in self.below(folder)
            if not stat.S_ISDIR(known.st_mode)
        ]

    @cached_property
    def packages(self) -> dict[str, str]:
        """Of what is installed whole, its version; of the rest, its state in brackets."""
        return dpkg.packages(self.text("var/lib/dpkg/status"))

    @cached_property
    def packaged(self) -> set[str]:
        """Paths that packages brought."""
        lists = self.names("var/lib/dpkg/info", "*.list")
        return {dpkg.merged(line) for path in lists for line in self.text(path).splitlines()}

    @cached_property
    def digests(self) -> dict[str, set[str]]:
        sums = (self.text(path) for path in self.names("var/lib/dpkg/info", "*.md5sums"))
        others = ("dpkg/status", "ucf/hashfile", "dpkg/diversions")
        return dpkg.digests(sums, *(self.text(f"var/lib/{name}") for name in others))

    def changed(self, path: str) -> bool:
        """Whether its package brought it with another content, as far as dpkg knows that."""
        known = self.digests.get(path)
        if known is None:
            return False
        return hashlib.md5(self.data(path), usedforsecurity=False).hexdigest() not in known

    def brought(self, path: str) -> bool:
        """Whether a package brought it as it is."""
        return path in self.digests and not self.changed(path)

    def without(self, *packages: str) -> list[str]:
        """Those that are not installed whole."""
        return [f"no {name}" for name in packages if self.packages.get(name, "(").startswith("(")]

    def masked(self, unit: str) -> bool:
        return self.link(f"etc/systemd/system/{unit}") == "/dev/null"

    @cached_property
    def accounts(self) -> list[list[str]]:
        """Of each its name, password, uid, gid, comment, home and shell."""
        found = [line.split(":") for line in self.lines("etc/passwd")]
        return [(parts + [""] * 7)[:7] for parts in found]

    @cached_property
    def homes(self) -> dict[Path, str]:
        """Folder here -> its path in the image."""
        paths = ["root", *self.names("home"), *(account[5] for account in self.accounts)]
        found: dict[Path, str] = {}
        for path in paths:
            place = self.at(path)
            if place is not None and place.is_dir():
                found.setdefault(place, path.strip("/"))
        return found

    def in_homes(self, *names: str) -> list[str]:
        paths = (f"{home}/{name}".lstrip("/") for home in self.homes.values() for name in names)
        return [path for path in paths if self.has(path)]

    @cached_property
    def settings(self) -> dict[str, str]:
        pairs = (line.partition("=") for line in self.lines("opt/heliochrome/.env"))
        return {name: value for name, _, value in pairs}

    @cached_property
    def record(self) -> dict[str, Any]:
        """What `install` wrote down; empty if it cannot be read."""
        return json_object(self.text("opt/heliochrome/prepared.json"))


def _known(place: Path) -> os.stat_result | None:
    """None where nothing is. What cannot be read is not taken for that: the error is raised."""
    try:
        return place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def json_object(text: str) -> dict[str, Any]:
    """Empty if it is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def inner(found: dict[str, Any], *names: str) -> dict[str, Any]:
    """The object that names lead to; empty if there is none."""
    for name in names:
        value = found.get(name)
        found = value if isinstance(value, dict) else {}
    return found
