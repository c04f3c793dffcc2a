"""Private keys and traces of the people who made the image."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from .credentials import CREDENTIALS, SHELLS
from .image import Image
from .shipped import listed

# Names in homes, which seal-instance removes.
TRACES: Final = listed("home-traces")
SKELETON: Final = (*SHELLS, ".ssh", ".cloud-locale-test.skip")
# Of OpenSSL, OpenSSH and OpenPGP, of ssh.com, of PuTTY.
PRIVATE_KEY: Final = re.compile(
    rb"(?m)^[ \t]*(-----BEGIN [A-Z ]*PRIVATE KEY|---- BEGIN SSH2 [A-Z ]*PRIVATE KEY|PuTTY-User-Key)"
)


def private_keys(image: Image) -> list[str]:
    folders = ["etc", "home", "media", "mnt", "opt", "root", "srv", "usr/local"]
    return image.files("etc/wireguard") + [
        path
        for path in image.files(*folders)
        if not path.startswith("etc/ssh/ssh_host_") and is_private_key(image, path)
    ]


def is_private_key(image: Image, path: str) -> bool:
    return PRIVATE_KEY.search(image.start(path)) is not None


def history(image: Image) -> list[str]:
    """Of `.ssh` authorized_keys and private keys are points of their own."""
    ssh = [
        path
        for home in image.homes.values()
        for path in image.names(f"{home}/.ssh".lstrip("/"))
        if not re.search("/authorized_keys2?$", path) and not is_private_key(image, path)
    ]
    return image.in_homes(*TRACES) + ssh


def leftovers(image: Image) -> list[str]:
    known = {*SKELETON, *TRACES, *CREDENTIALS}
    folders = [place for place in image.homes if _is_a_persons(image, place)]
    found = [path for place in folders for path in image.names(_inner(image, place))]
    return [
        path
        for path in found
        if path.rpartition("/")[2] not in known and not is_private_key(image, path)
    ]


def _inner(image: Image, place: Path) -> str:
    return place.relative_to(image.root).as_posix()


def _is_a_persons(image: Image, place: Path) -> bool:
    inner = _inner(image, place)
    return inner == "root" or inner.startswith("home/")
