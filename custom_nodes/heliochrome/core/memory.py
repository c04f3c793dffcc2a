"""How much memory is free, before it is asked for.

Linux promises CPU memory that it does not have, and kills a process when the promise falls
due. An allocation that works therefore proves nothing there: these numbers have to be asked first.
"""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from .cgroups import CGROUPS, PROC, groups_of, read_text

_log = logging.getLogger("heliochrome")


class FreeMemory(Protocol):
    """Whoever knows a device's memory: this module, or a host that manages it."""

    def __call__(self, device: str, wanted: int) -> int | None:
        """Bytes free on "cpu" or "cuda", after making `wanted` free if that can be done.

        None if that cannot be found out.
        """
        ...


def free_bytes(
    device: str, wanted: int = 0, *, proc: Path = PROC, cgroups: Path = CGROUPS
) -> int | None:
    """Bytes that this process can still take on "cpu" or "cuda" (its first GPU).

    None if that cannot be found out. It is a moment's reading: other programs take memory too.
    On the CPU it is the least of what the machine, each control group (container) around the
    process and the process's own limits leave. Swap is not counted: the network would run from
    a disk. On a GPU it is what the driver calls free and what PyTorch holds without using it.
    wanted: if less is free, Python's garbage is collected first.
    proc, cgroups: where those file systems are mounted.
    """
    found = _free_now(device, proc, cgroups)
    if found is None or found >= wanted:
        return found
    gc.collect()
    return _free_now(device, proc, cgroups)


def _free_now(device: str, proc: Path, cgroups: Path) -> int | None:
    if device != "cpu":
        return _free_on_gpu()
    found = [
        *_of_machine(proc),
        *_of_groups(proc, cgroups),
        *_of_limits(proc),
        *_of_windows(),
    ]
    return max(0, min(found)) if found else None


def _of_machine(proc: Path) -> Iterator[int]:
    """What the kernel could give without swapping: free, and file cache that it can drop."""
    available = _table(proc / "meminfo").get("MemAvailable")
    if available is not None:
        yield available


def _of_groups(proc: Path, cgroups: Path) -> Iterator[int]:
    """What each control group leaves until it is slowed down or its largest process is killed."""
    for folder in groups_of("memory", proc, cgroups):
        stat = _table(folder / "memory.stat")
        # Version 2, then version 1, where the group's own numbers leave out its children's.
        limits = [
            _number(folder / "memory.max"),
            _number(folder / "memory.high"),
            _number(folder / "memory.limit_in_bytes"),
            stat.get("hierarchical_memory_limit"),
        ]
        used = _number(folder / "memory.current")
        if used is None:
            used = _number(folder / "memory.usage_in_bytes")
        files = [
            stat.get(f"total_{kind}_file", stat.get(f"{kind}_file", 0))
            for kind in ("active", "inactive")
        ]
        known = [limit for limit in limits if limit is not None]
        if known and used is not None:
            yield min(known) - used + sum(files)  # the cache of files is dropped first


def _of_limits(proc: Path) -> Iterator[int]:
    """What RLIMIT_AS (all mapped memory) and RLIMIT_DATA (private memory) leave."""
    used = _table(proc / "self" / "status")
    for line in read_text(proc / "self" / "limits").splitlines():
        for title, field in (("Max address space", "VmSize"), ("Max data size", "VmData")):
            soft = line.removeprefix(title).split()[0] if line.startswith(title) else ""
            if soft.isdecimal() and field in used:
                yield int(soft) - used[field]


def _of_windows() -> list[int]:
    """Free physical memory and what the process may still commit. Never run by us."""
    if sys.platform == "win32":
        import ctypes

        class MemoryStatus(ctypes.Structure):
            _fields_ = (
                ("length", ctypes.c_uint32),
                ("load", ctypes.c_uint32),
                ("total_physical", ctypes.c_uint64),
                ("free_physical", ctypes.c_uint64),
                ("total_commit", ctypes.c_uint64),
                ("free_commit", ctypes.c_uint64),
                ("total_virtual", ctypes.c_uint64),
                ("free_virtual", ctypes.c_uint64),
                ("free_extended", ctypes.c_uint64),
            )

        status = MemoryStatus(length=ctypes.sizeof(MemoryStatus))
        if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
            return [status.free_physical, status.free_commit]
    return []


def _free_on_gpu() -> int | None:
    """Never run by us on a GPU."""
    torch: Any = sys.modules.get("torch")  # never loaded for this
    if torch is None or not torch.cuda.is_available():
        return _free_by_driver()
    free, _total = torch.cuda.mem_get_info()
    cached = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
    return int(free + cached)


def _free_by_driver() -> int | None:
    """Through NVML. None without `nvidia-ml-py` or driver, and where several GPUs could be meant:
    NVML does not number them as CUDA does."""
    try:
        nvml: Any = import_module("pynvml")
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
        try:
            if nvml.nvmlDeviceGetCount() != 1:
                return None
            handle = nvml.nvmlDeviceGetHandleByIndex(0)
            return int(nvml.nvmlDeviceGetMemoryInfo(handle).free)
        finally:
            nvml.nvmlShutdown()
    except nvml.NVMLError as error:
        _log.debug("NVML does not say how much GPU memory is free: %s", error)
        return None


def _number(path: Path) -> int | None:
    """The one number in a file; None for "max" and where there is no such file."""
    text = read_text(path).strip()
    return int(text) if text.isdecimal() else None


def _table(path: Path) -> dict[str, int]:
    """Lines "name: 12 kB" or "name 12" -> bytes by name."""
    found = {}
    for line in read_text(path).splitlines():
        name, *values = line.replace(":", " ").split()
        if values and values[0].isdecimal():
            found[name] = int(values[0]) * (1024 if values[1:] == ["kB"] else 1)
    return found
