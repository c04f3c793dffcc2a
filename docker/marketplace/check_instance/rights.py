"""Who may do what on the machine: passwords, root's rights, files that give them away."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from typing import Final

from .image import Image
from .shipped import listed

# Files that run as somebody else, of the packages of both systems and of NVIDIA's driver.
SETUID: Final = listed("setuid")
# Files of packages that have a part of root's rights, as bits. What may be root may have any.
CAP_NET_RAW: Final = 1 << 13
CAPABLE: Final = {
    "usr/bin/arping": CAP_NET_RAW,
    "usr/bin/clockdiff": CAP_NET_RAW,
    "usr/bin/fping": CAP_NET_RAW,
    "usr/bin/mtr-packet": CAP_NET_RAW,
    "usr/bin/ping": CAP_NET_RAW,
}
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
    wrong: list[str] = []
    for path, known in image.everything:
        if not stat.S_ISREG(known.st_mode) or path in SETUID:
            continue
        if known.st_mode & 0o6000:
            wrong.append(path)
        more = _capabilities(image.root / path) & ~CAPABLE.get(path, 0)
        if more:
            wrong.append(f"{path}: capabilities {more:#x}")
    return wrong


def _capabilities(place: Path) -> int:
    """What a file may do of what root may, as bits (linux/capability.h, vfs_cap_data)."""
    try:
        found = os.getxattr(place, "security.capability", follow_symlinks=False)
    except OSError as cause:
        # None, or on a file system that has no such thing.
        if cause.errno in {errno.ENODATA, errno.ENOTSUP}:
            return 0
        raise
    # Its head, then twice what it is given and what whoever starts it may give.
    words = [int.from_bytes(found[at : at + 4], "little") for at in range(4, 20, 4)]
    return words[0] | words[1] | (words[2] | words[3]) << 32


def world_writable(image: Image) -> list[str]:
    return [
        path
        for folder in ("etc", "usr", "opt", "boot")
        for path, known in image.below(folder)
        if known.st_mode & 0o002
        and not stat.S_ISLNK(known.st_mode)
        and not (stat.S_ISDIR(known.st_mode) and known.st_mode & stat.S_ISVTX)
    ]
