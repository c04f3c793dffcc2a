"""What every report says of the machine it was made on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def describe(*packages: str) -> dict[str, Any]:
    """Processor, cores, Python, and the versions of `packages` that are installed."""
    from heliochrome.core.backends.probe_memory import processor_name

    return {
        "processor": processor_name(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        **{name: found for name in packages if (found := _version(name))},
    }


def named(host: dict[str, Any]) -> str:
    """One line for the top of a page."""
    others = [f"{key} {value}" for key, value in host.items() if key not in ("processor", "cores")]
    return f"{host['processor']}, {host['cores']} cores, {', '.join(others)}"


def peak_mb() -> int:
    """Peak resident memory of this process. Not ru_maxrss: a child's starts at its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
