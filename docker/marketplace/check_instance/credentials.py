"""What opens something elsewhere: files of credentials, and secrets within settings."""

from __future__ import annotations

import re
from typing import Final

from .image import Image
from .shipped import listed

# Names in homes, which seal-instance removes.
CREDENTIALS: Final = listed("home-credentials")
# An address with a name or a password in it. Not in comments.
IN_ADDRESS: Final = re.compile(rb"(?m)^[^#;\n]*://[^\s/@\"']+@")
# A name and its value. Not a keyboard's, nor where something is kept, nor yes and no.
ASSIGNED: Final = re.compile(
    r"(?i)(?<![\w$])(\w*(?:KEY(?!MAP|TABLE|BOARD|RING)|SECRET|TOKEN|PASSW(?:OR)?D)\w*"
    r"(?<!FILE)(?<!DIR)(?<!PATH))\s*=\s*[\"']?"
    r"(?!\$[({]|(?:\$\w+|yes|no|true|false|none|\d)[\"']*(?:\s|$))[^\s\"';#]"
)
# What shells, PAM and services read names and values from. Of homes, files of a skeleton: any other
# is a leftover.
SET: Final = (
    "etc/default", "etc/environment.d", "etc/profile.d", "etc/security", "etc/skel", "etc/systemd",
)  # fmt: skip
SHELLS: Final = (".bashrc", ".profile", ".bash_logout", ".hushlogin")
ALONE: Final = ("etc/bash.bashrc", "etc/environment", "etc/profile")


def credentials(image: Image) -> list[str]:
    apt = [*image.names("etc/apt", "auth.conf"), *image.names("etc/apt/auth.conf.d")]
    held = [
        f"{path}: an address with @"
        for path in image.files("etc")
        if IN_ADDRESS.search(image.start(path))
    ]
    return image.in_homes(*CREDENTIALS) + apt + held + _assigned(image)


def _assigned(image: Image) -> list[str]:
    """The names alone: the values are secrets."""
    paths = [*image.files(*SET), *(path for path in ALONE if image.has(path))]
    read = [path for path in paths if not image.brought(path)] + image.in_homes(*SHELLS)
    return [
        f"{path}: {name}"
        for path in read
        if not image.link(path)
        for line in image.start(path).decode("utf-8", "replace").splitlines()
        if not line.lstrip().startswith("#")
        for name in ASSIGNED.findall(line)
    ]
