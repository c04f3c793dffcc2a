"""How many processor cores this process may use: affinity and the cgroup's quota."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Final

_CGROUPS: Final = Path("/sys/fs/cgroup")
_OWN: Final = Path("/proc/self/cgroup")


def usable_cores(cgroups: Path = _CGROUPS, own: Path = _OWN) -> int:
    """At least 1. cgroups: where the control groups are mounted; own: this process's groups."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quotas = [_quota(folder) for folder in _folders(cgroups, own)]
    return max(1, min(cores, *(math.ceil(quota) for quota in quotas if quota), cores))


def core_limit() -> int | None:
    """`usable_cores` if that is less than the machine has; runtimes count the machine's."""
    usable = usable_cores()
    return usable if usable < (os.cpu_count() or 1) else None


def _folders(cgroups: Path, own: Path) -> list[Path]:
    """Every control group that limits this process: version 2, and version 1's `cpu`."""
    found = []
    for line in _read(own).splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = cgroups / controllers if controllers else cgroups
        inside = Path(group.lstrip("/"))
        found += [root / inside, *(root / parent for parent in inside.parents)]
    return found or [cgroups]


def _quota(folder: Path) -> float | None:
    """Cores that one control group grants; None if it sets no limit."""
    numbers = _read(folder / "cpu.max").split()
    if not numbers:
        numbers = [_read(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    try:
        quota, period = (int(number) for number in numbers)
    except ValueError:  # "max", or no such file
        return None
    return quota / period if quota > 0 and period > 0 else None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
