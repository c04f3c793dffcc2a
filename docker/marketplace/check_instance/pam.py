"""Whom PAM lets in: the files that pam-auth-update writes, line by line, as no package has them."""

from __future__ import annotations

import re
from typing import Final

from .image import Image

WRITTEN: Final = "etc/pam.d/common-*"
TEMPLATES: Final = "usr/share/pam"
PROFILES: Final = "usr/share/pam-configs"
# It writes this where no profile is.
WITHOUT_SESSION: Final = "session [default=N] pam_permit.so"


def written_otherwise(image: Image) -> list[str]:
    """Lines that neither the template nor a package's profile has, and templates not kept."""
    asked = {WITHOUT_SESSION}.union(*(_profile(image, path) for path in image.names(PROFILES)))
    wrong: list[str] = []
    for path in image.names(*WRITTEN.rsplit("/", 1)):
        name = path.rpartition("/")[2]
        given = f"{TEMPLATES}/{name}"
        fixed = [_plain(line) for line in image.lines(given) if not line.startswith("$")]
        lines = [_plain(line) for line in image.lines(path)]
        more = [line for line in lines if line not in fixed and line not in asked]
        wrong += [f"{path}: {line}" for line in more]
        if [line for line in lines if line in fixed] != fixed:
            wrong.append(f"{path}: not as {given}")
    return wrong


def _profile(image: Image, path: str) -> set[str]:
    """The lines that a package's profile asks for."""
    if not image.brought(path):
        return set()
    found: set[str] = set()
    kind = ""
    for line in image.text(path).splitlines():
        section = re.match(r"(Auth|Account|Session|Password)(?:-Initial|-Final)?:", line)
        if not line.startswith((" ", "\t")):
            kind = section.group(1).lower() if section else ""
        elif kind and line.strip():
            found.add(_plain(f"{kind} {line}"))
    return found


def _plain(line: str) -> str:
    """How many lines are left out, where a module succeeds, depends on the other profiles."""
    said = re.sub(r"\s+", " ", line.strip())
    return re.sub(r"(?<=[\[ ])(\w+)=(?:\d+|end)(?=[\] ].*\.so)", r"\1=N", said)
