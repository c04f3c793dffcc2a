"""Keys, credentials and traces of the people who made the image."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Final

from .image import Image
from .shipped import listed

# Names in homes, which seal-instance removes.
TRACES: Final = listed("home-traces")
CREDENTIALS: Final = listed("home-credentials")
SKELETON: Final = (".bashrc", ".profile", ".bash_logout", ".hushlogin", ".ssh",
                   ".cloud-locale-test.skip")  # fmt: skip


def private_keys(image: Image) -> list[str]:
    folders = ["etc/ssh", "etc/ssl/private", "opt/heliochrome", "root", "home"]
    return [
        path
        for path in image.files(*folders)
        if not path.startswith("etc/ssh/ssh_host_")
        and re.search(rb"-----BEGIN [A-Z ]*PRIVATE KEY|^PuTTY-User-Key", _start(image.root / path))
    ]


def _start(place: Path) -> bytes:
    if not stat.S_ISREG(place.lstat().st_mode):
        return b""
    with place.open("rb") as stream:
        return stream.read(65536)


def credentials(image: Image) -> list[str]:
    apt = [*image.names("etc/apt", "auth.conf"), *image.names("etc/apt/auth.conf.d")]
    return image.in_homes(*CREDENTIALS) + apt


def history(image: Image) -> list[str]:
    return image.in_homes(*TRACES, ".ssh/known_hosts", ".ssh/known_hosts.old", ".ssh/config")


def leftovers(image: Image) -> list[str]:
    known = {*SKELETON, *TRACES, *CREDENTIALS}
    folders = [place for place in image.homes if _is_a_persons(image, place)]
    return [
        entry.relative_to(image.root).as_posix()
        for place in folders
        for entry in sorted(place.iterdir())
        if entry.name not in known and b"PRIVATE KEY" not in _start(entry)
    ]


def _is_a_persons(image: Image, place: Path) -> bool:
    inner = place.relative_to(image.root).as_posix()
    return inner == "root" or inner.startswith("home/")
