"""What dpkg wrote down: which packages there are, their files, and with what content they came."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable


def packages(status: str) -> dict[str, str]:
    """Of what is installed whole, its version; of the rest, its state in brackets."""
    found: dict[str, str] = {}
    for entry in status.split("\n\n"):
        known = dict(re.findall(r"^(Package|Status|Version): (.*)$", entry, re.MULTILINE))
        if known.get("Status", "").endswith(" ok installed"):
            found[known.get("Package", "?")] = known.get("Version") or "(no version)"
        elif known and not known.get("Status", "").endswith(("config-files", "not-installed")):
            found[known.get("Package", "?")] = f"({known.get('Status')})"
    return found


def merged(path: str) -> str:
    """As it is where /lib, /bin and /sbin are links."""
    return re.sub("^/?(?=(?:lib|lib64|bin|sbin)/)", "usr/", path).lstrip("/")


def digests(
    sums: Iterable[str], status: str, ucf: str = "", diversions: str = ""
) -> dict[str, set[str]]:
    """Path -> the MD5 sums that its packages gave it.

    sums: each package's list; status: also has those of settings, as ucf has of its own. A package
    may have put another's file aside: both places then take what either has.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for text in (*sums, ucf):
        for digest, path in re.findall(r"(?m)^([0-9a-f]{32})  (.+)$", text):
            found[merged(path)].add(digest)
    for path, digest in re.findall(r"(?m)^ (/.+?) ([0-9a-f]{32})(?: [a-z-]+)*$", status):
        found[merged(path)].add(digest)
    names = [merged(line) for line in diversions.splitlines()]
    for path, aside in zip(names[::3], names[1::3], strict=False):
        both = found[path] | found[aside]
        found[path], found[aside] = both, both
    return {path: known for path, known in found.items() if known}
