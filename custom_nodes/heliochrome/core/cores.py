"""How many processor cores this process may use: affinity and the control groups' quotas."""

from __future__ import annotations

import math
import os
from pathlib import Path

from .cgroups import CGROUPS, PROC, groups_of, read_text


def usable_cores(proc: Path = PROC, cgroups: Path = CGROUPS) -> int:
    """At least 1."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quotas = [_quota(folder) for folder in groups_of("cpu", proc, cgroups)]
    return max(1, min(cores, *(math.ceil(quota) for quota in quotas if quota), cores))


def core_limit() -> int | None:
    """`usable_cores` if that is less than the machine has; runtimes count the machine's."""
    usable = usable_cores()
    return usable if usable < (os.cpu_count() or 1) else None


def _quota(folder: Path) -> float | None:
    """Cores that one control group grants; None if it sets no limit."""
    numbers = read_text(folder / "cpu.max").split()  # version 2, then version 1
    if not numbers:
        numbers = [read_text(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    try:
        quota, period = (int(number) for number in numbers)
    except ValueError:  # "max", or no such file
        return None
    return quota / period if quota > 0 and period > 0 else None
