"""What cloud-init is told for each buyer's first start: to let nobody in but the buyer."""

from __future__ import annotations

import re
from typing import Final

from .image import Image

# Whatever gives a key or a password to an account, or runs and writes what it is told.
GIVES: Final = re.compile(
    r"(?:^|[\s{,])[\"']?(ssh[_-]authorized[_-]keys|ssh_import_id|ssh_keys|plain_text_passwd|"
    r"hashed_passwd|passwd|password|chpasswd|runcmd|bootcmd|write_files|user-?data(?:_raw)?|"
    r"vendor-?data(?:_raw)?)[\"']?\s*:(?!\s*(?:\[\s*\]|\{\s*\}|null|~)\s*$)"
)


def given_away(image: Image) -> list[str]:
    """Of settings that no package brought as they are. The names alone: the values are secrets."""
    paths = ["etc/cloud/cloud.cfg", *image.names("etc/cloud/cloud.cfg.d", "*.cfg")]
    return [
        f"{path}: {said}"
        for path in paths
        if not image.brought(path)
        for said in _said(image.text(path))
    ]


def _said(text: str) -> list[str]:
    """default_user may use sudo: only what the cloud is given by the buyer opens that account."""
    found: list[str] = []
    deep = -1
    for whole in text.splitlines():
        line = re.sub(r"(?:^|\s)#.*", "", whole)
        if not line.strip():
            continue
        indent = len(line) - len(line.lstrip())
        if indent <= deep:
            deep = -1
        if re.match(r"\s*default_user\s*:", line):
            deep = indent
        found += GIVES.findall(line)
        if deep < 0 and "NOPASSWD" in line:
            found.append("NOPASSWD")
    return found
