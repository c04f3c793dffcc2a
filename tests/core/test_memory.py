"""Free memory: the least of everything that can stop this process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from heliochrome.core.memory import free_bytes

GIB = 2**30
UNLIMITED_V1 = 9223372036854771712

Tree = dict[str, str]


def write(root: Path, tree: Tree) -> tuple[Path, Path]:
    """Directory trees as the kernel shows them; gives (proc, cgroups)."""
    for name, text in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root / "proc", root / "cgroup"


def meminfo(gib: float) -> str:
    kib = int(gib * 2**20)
    return (
        f"MemTotal: {64 * 2**20} kB\nMemFree: 1024 kB\nMemAvailable: {kib} kB\nHugePages_Total: 0\n"
    )


def v2(group: str, limit: float | str, used: float, *, high: str = "max", cache: float = 0) -> Tree:
    """A group of version 2; cache: GiB of files, half of it in use lately."""
    text = limit if isinstance(limit, str) else str(int(limit * GIB))
    half = int(cache * GIB / 2)
    return {
        f"{group}/memory.max": f"{text}\n",
        f"{group}/memory.high": f"{high}\n",
        f"{group}/memory.current": f"{int(used * GIB)}\n",
        f"{group}/memory.stat": f"anon 5\nfile 99\nshmem 99\nactive_file {half}\n"
        f"inactive_file {half}\n",
    }


def v1(group: str, limit: float, used: float, *, above: float = 0, cache: float = 0) -> Tree:
    """A group of version 1; above: the limit of its parents, 0 for none."""
    hierarchical = int(above * GIB) or UNLIMITED_V1
    half = int(cache * GIB / 2)
    return {
        f"{group}/memory.limit_in_bytes": str(int(limit * GIB) or UNLIMITED_V1),
        f"{group}/memory.usage_in_bytes": str(int(used * GIB)),
        f"{group}/memory.stat": f"inactive_file 1\nactive_file 1\ntotal_inactive_file {half}\n"
        f"total_active_file {half}\nhierarchical_memory_limit {hierarchical}\n",
    }


def limits(space: str = "unlimited", data: str = "unlimited") -> Tree:
    return {
        "proc/self/limits": "Limit                     Soft Limit   Hard Limit   Units\n"
        f"Max data size             {data}    unlimited    bytes\n"
        f"Max address space         {space}   unlimited    bytes\n",
        "proc/self/status": "Name:\tpython\nVmSize:\t 3145728 kB\nVmData:\t 1048576 kB\n",
    }


MACHINE: Tree = {"proc/meminfo": meminfo(10)}
IN_V2: Tree = {**MACHINE, "proc/self/cgroup": "0::/slice/box\n"}
IN_V1: Tree = {**MACHINE, "proc/self/cgroup": "9:pids:/\n4:memory:/slice/box\n0::/\n"}


@pytest.mark.parametrize(
    ("tree", "gib"),
    [
        pytest.param({}, None, id="a system that says nothing"),
        pytest.param(MACHINE, 10, id="the machine alone"),
        pytest.param({**IN_V2, **v2("cgroup/slice/box", "max", 3)}, 10, id="v2 without limit"),
        pytest.param({**IN_V2, **v2("cgroup/slice/box", 4, 3)}, 1, id="v2 limit"),
        pytest.param({**IN_V2, **v2("cgroup/slice/box", 4, 3, cache=2)}, 3, id="v2 file cache"),
        pytest.param(
            {**IN_V2, **v2("cgroup/slice/box", 6, 3, high=str(5 * GIB))}, 2, id="v2 slowed down"
        ),
        pytest.param(
            {**IN_V2, **v2("cgroup/slice/box", 4, 1), **v2("cgroup/slice", 8, 7.5)},
            0.5,
            id="v2 parent is fuller",
        ),
        pytest.param({**IN_V2, **v2("cgroup/slice/box", 4, 5)}, 0, id="v2 over its limit"),
        pytest.param({**IN_V2, **v2("cgroup/slice/box", 4, 0)}, 4, id="v2 nothing used"),
        pytest.param({**IN_V2, **v2("cgroup", 4, 2)}, 2, id="v2 container sees only its root"),
        pytest.param(
            {**MACHINE, "proc/self/cgroup": "0::/../../other\n", **v2("cgroup", 4, 2)},
            2,
            id="v2 group outside the namespace",
        ),
        pytest.param(
            {**IN_V1, **v2("cgroup/unified", "max", 0), **v1("cgroup/memory/slice/box", 4, 3)},
            1,
            id="v1 beside v2",
        ),
        pytest.param({**IN_V1, **v1("cgroup/memory/slice/box", 0, 3)}, 10, id="v1 without limit"),
        pytest.param(
            {**IN_V1, **v1("cgroup/memory/slice/box", 4, 3, cache=2)}, 3, id="v1 file cache"
        ),
        pytest.param(
            {**IN_V1, **v1("cgroup/memory/slice/box", 0, 3, above=5)}, 2, id="v1 unseen parent"
        ),
        pytest.param({**IN_V1, **v1("cgroup/memory", 4, 2)}, 2, id="v1 container"),
        pytest.param({**MACHINE, **limits()}, 10, id="no process limits"),
        pytest.param({**MACHINE, **limits(space=str(4 * GIB))}, 1, id="RLIMIT_AS"),
        pytest.param({**MACHINE, **limits(data=str(3 * GIB))}, 2, id="RLIMIT_DATA"),
        pytest.param({**MACHINE, **limits(space=str(2 * GIB))}, 0, id="over RLIMIT_AS"),
        pytest.param(
            {**IN_V2, **v2("cgroup/slice/box", 4, 3), **limits(data=str(int(1.5 * GIB)))},
            0.5,
            id="the least counts",
        ),
    ],
)
def test_cpu_is_the_least_of_all_limits(tmp_path: Path, tree: Tree, gib: float | None) -> None:
    proc, cgroups = write(tmp_path, tree)
    expected = None if gib is None else int(gib * GIB)
    assert free_bytes("cpu", proc=proc, cgroups=cgroups) == expected


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no RLIMIT_AS to obey")
def test_a_real_process_sees_its_own_limit() -> None:
    """What it is told is free can be taken, and not much more."""
    probe = """
import mmap, resource
from heliochrome.core.memory import free_bytes
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
free = free_bytes("cpu")
assert 0 < free < 4 << 30, free
block = mmap.mmap(-1, free - (32 << 20))
left = free_bytes("cpu")
assert left < 40 << 20, left
try:
    mmap.mmap(-1, left + (16 << 20))
except OSError:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert done.stdout == "refused\n", done.stderr


def test_this_machine_says_how_much_is_free() -> None:
    free = free_bytes("cpu")
    assert free is None if sys.platform == "darwin" else free > 50_000_000


class StandInCuda:
    """The four functions of torch.cuda that are asked; no GPU is needed."""

    is_available = staticmethod(lambda: True)
    mem_get_info = staticmethod(lambda: (2 * GIB, 8 * GIB))
    memory_reserved = staticmethod(lambda: 3 * GIB)
    memory_allocated = staticmethod(lambda: 1 * GIB)


def stand_in_nvml(count: int, fails: bool) -> SimpleNamespace:
    class NVMLError(Exception):
        pass

    def init() -> None:
        if fails:
            raise NVMLError("Driver Not Loaded")

    return SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=init,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: count,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(free=5 * GIB),
    )


def test_gpu_by_pytorch_counts_what_its_cache_holds_unused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=StandInCuda))
    assert free_bytes("cuda") == 4 * GIB


@pytest.mark.parametrize(
    ("nvml", "free"),
    [
        (stand_in_nvml(1, False), 5 * GIB),
        (stand_in_nvml(2, False), None),  # which of them CUDA calls the first is not known
        (stand_in_nvml(1, True), None),
        (None, None),  # nvidia-ml-py is not installed
    ],
)
def test_gpu_by_nvml(
    monkeypatch: pytest.MonkeyPatch, nvml: SimpleNamespace | None, free: int | None
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    assert free_bytes("cuda") == free
