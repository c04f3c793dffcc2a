"""The control groups around this process: where the system keeps a container's limits."""

from __future__ import annotations

from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
CGROUPS: Final = Path("/sys/fs/cgroup")


def groups_of(controller: str, proc: Path = PROC, cgroups: Path = CGROUPS) -> list[Path]:
    """Folders of the groups that limit this process, innermost first, as far as they are seen.

    controller: "memory" or "cpu". Version 2 and version 1 are both looked at, since a machine
    may run both. A container often sees its own group only as the root. None on a system
    without control groups.
    """
    found: dict[Path, None] = {}
    for line in read_text(proc / "self" / "cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":  # version 2, below `unified` where version 1 has the first place
            unified = cgroups / "unified"
            root = unified if unified.is_dir() else cgroups
        elif controller in controllers.split(","):
            root = cgroups / controller
        else:
            continue
        inside = Path(path.lstrip("/"))
        if ".." in inside.parts:  # a group outside what this process may see
            inside = Path()
        found |= dict.fromkeys((root / inside, *(root / above for above in inside.parents)))
    return [folder for folder in found if folder.is_dir()]


def read_text(path: Path) -> str:
    """A file of the kernel's; "" where there is none or it may not be read."""
    try:
        return path.read_text()
    except OSError:
        return ""
