"""Who may do what on the machine: passwords, root's rights, files that give them away."""

from __future__ import annotations

import re
import stat
from typing import Final

from .image import Image
from .shipped import listed

# Files that run as somebody else, of the packages of both systems and of NVIDIA's driver.
SETUID: Final = listed("setuid")
NO_PASSWORD: Final = {"*", "!", "!!", "!*"}


def passwords(image: Image) -> list[str]:
    wrong = [f"{parts[0]} in etc/passwd" for parts in image.accounts if parts[1] != "x"]
    for path, none in (("etc/shadow", NO_PASSWORD), ("etc/gshadow", {*NO_PASSWORD, ""})):
        for line in image.lines(path):
            name, _, rest = line.partition(":")
            if rest.partition(":")[0] not in none:
                wrong.append(f"{name} in {path}")
    kept = [f"etc/{name}" for name in ("passwd-", "shadow-", "gshadow-", "security/opasswd")]
    wrong += [path for path in kept if image.has(path)]
    return wrong + image.names("var/backups", "*shadow*")


def only_root(image: Image) -> list[str]:
    """By a number that is surely another."""
    return [
        f"{parts[0]} with uid {parts[2] or 'none'}"
        for parts in image.accounts
        if parts[0] != "root" and not re.fullmatch("0*[1-9][0-9]{0,8}", parts[2])
    ]


def sudo(image: Image) -> list[str]:
    # Both are points of their own.
    own = ("etc/sudoers.d/90-cloud-init-users", "etc/sudoers.d/ecs-assist-user")
    asks_nobody = re.compile(r"NOPASSWD|!\s*authenticate|exempt_group")
    elsewhere = re.compile(r"[#@]include(?:dir)?\s+(?!/etc/sudoers\.d\s*$)")
    return [
        f"{path}: {line}"
        for path in ["etc/sudoers", *image.names("etc/sudoers.d")]
        if path not in own
        for line in _rules(image.text(path))
        if asks_nobody.search(line) or elsewhere.match(line)
    ]


def _rules(text: str) -> list[str]:
    """Lines that go on put together; comments left out. `#0` is a user, `#include` a command."""
    kept = [line for line in text.splitlines() if not re.match(r"\s*#(?!include|\d)", line)]
    return [line.strip() for line in "\n".join(kept).replace("\\\n", "").split("\n")]


def setuid(image: Image) -> list[str]:
    return [
        path
        for path, known in image.below("")
        if stat.S_ISREG(known.st_mode) and known.st_mode & 0o6000 and path not in SETUID
    ]


def world_writable(image: Image) -> list[str]:
    return [
        path
        for folder in ("etc", "usr", "opt", "boot")
        for path, known in image.below(folder)
        if known.st_mode & 0o002
        and not stat.S_ISLNK(known.st_mode)
        and not (stat.S_ISDIR(known.st_mode) and known.st_mode & stat.S_ISVTX)
    ]
