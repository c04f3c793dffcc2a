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


# Of OpenSSL, OpenSSH and OpenPGP, of ssh.com, of PuTTY.
PRIVATE_KEY: Final = re.compile(
    rb"(?m)^[ \t]*(-----BEGIN [A-Z ]*PRIVATE KEY|---- BEGIN SSH2 [A-Z ]*PRIVATE KEY|PuTTY-User-Key)"
)
# An address with a name or a password in it. Not in comments.
IN_ADDRESS: Final = re.compile(rb"(?m)^[^#;\n]*://[^\s/@\"']+@")


def private_keys(image: Image) -> list[str]:
    folders = ["etc", "home", "media", "mnt", "opt", "root", "srv", "usr/local"]
    return image.files("etc/wireguard") + [
        path
        for path in image.files(*folders)
        if not path.startswith("etc/ssh/ssh_host_") and is_private_key(image.root / path)
    ]


def is_private_key(place: Path) -> bool:
    return PRIVATE_KEY.search(_start(place)) is not None


def _start(place: Path) -> bytes:
    if not stat.S_ISREG(place.lstat().st_mode):
        return b""
    with place.open("rb") as stream:
        return stream.read(65536)


def credentials(image: Image) -> list[str]:
    apt = [*image.names("etc/apt", "auth.conf"), *image.names("etc/apt/auth.conf.d")]
    held = [
        f"{path}: an address with @"
        for path in image.files("etc")
        if IN_ADDRESS.search(_start(image.root / path))
    ]
    return image.in_homes(*CREDENTIALS) + apt + held


def history(image: Image) -> list[str]:
    """Of `.ssh` authorized_keys and private keys are points of their own."""
    ssh = [
        path
        for home in image.homes.values()
        for path in image.names(f"{home}/.ssh".lstrip("/"))
        if not re.search("/authorized_keys2?$", path)
        and not ((place := image.entry(path)) and is_private_key(place))
    ]
    return image.in_homes(*TRACES) + ssh


def leftovers(image: Image) -> list[str]:
    known = {*SKELETON, *TRACES, *CREDENTIALS}
    folders = [place for place in image.homes if _is_a_persons(image, place)]
    return [
        entry.relative_to(image.root).as_posix()
        for place in folders
        for entry in sorted(place.iterdir())
        if entry.name not in known and not is_private_key(entry)
    ]


def _is_a_persons(image: Image, place: Path) -> bool:
    inner = place.relative_to(image.root).as_posix()
    return inner == "root" or inner.startswith("home/")
