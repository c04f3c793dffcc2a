"""What was measured on this machine, kept between runs in the cache's backends.json."""

from __future__ import annotations

import logging
import platform
from pathlib import Path
from typing import Any, Final

from filelock import FileLock

from ..cgroups import PROC, read_text
from ..cores import usable_cores
from ..disk import read_json, write_json
from .installed import runtime_version, usable_backends
from .nvidia import gpu_name

_log = logging.getLogger("heliochrome")

FILE_NAME: Final = "backends.json"


def machine_key(*wishes: str) -> str:
    """What a measurement holds for: this machine, its runtimes, and what was wished for."""
    runtimes = (f"{name} {runtime_version(name)}" for name in usable_backends())
    gpu = gpu_name() or "no NVIDIA GPU"
    return " | ".join((processor_name(), f"{usable_cores()} cores", gpu, *runtimes, *wishes))


def processor_name() -> str:
    """The processor as the system names it."""
    lines = read_text(PROC / "cpuinfo").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def recall(cache: Path | None, key: str) -> dict[str, float | None]:
    """Seconds by candidate, measured before; empty if unknown or damaged.

    None by backend: it was there, and was not to be measured.
    """
    if cache is None:
        return {}
    entry = read_json(cache / FILE_NAME).get(key)
    if entry is None or _is_sound(entry):
        return entry or {}
    _log.warning("%s: the entry for this machine is damaged: measured again.", cache / FILE_NAME)
    return {}


def remember(cache: Path | None, key: str, seconds: dict[str, float | None]) -> None:
    """Keep a measurement; where the cache cannot be written it is measured each time."""
    if cache is None:
        return
    path = cache / FILE_NAME
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / ".backends.lock"):
            write_json(path, {**read_json(path), key: seconds})
    except OSError as error:
        _log.warning("Cannot write %s (%s): backends are measured each time.", path, error)


def forget(cache: Path | None, key: str) -> None:
    """Drop a measurement that no longer holds."""
    remember(cache, key, {})


def measurements(cache: Path) -> dict[str, dict[str, float]]:
    """Everything measured on this machine as it is now: seconds by candidate, by wish."""
    machine = machine_key()
    return {
        key.removeprefix(machine).lstrip(" |"): {
            name: seconds for name, seconds in entry.items() if seconds is not None
        }
        for key, entry in read_json(cache / FILE_NAME).items()
        if key.startswith(machine) and entry and _is_sound(entry)
    }


def _is_sound(entry: Any) -> bool:
    return isinstance(entry, dict) and all(
        isinstance(name, str) and (seconds is None or (isinstance(seconds, float) and seconds > 0))
        for name, seconds in entry.items()
    )
