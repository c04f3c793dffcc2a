"""`auto`: the fastest backend here by measurement, remembered; what is broken is passed over."""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

import micro
from heliochrome.core.backends import installed, open_backend, open_chosen, opening, probe
from heliochrome.core.backends.base import Request
from heliochrome.core.cores import usable_cores
from heliochrome.core.disk import hash_file
from heliochrome.core.errors import BackendUnavailable, BadSetting, BadWeights, OutOfMemory
from heliochrome.core.export import INPUT_NAME, OUTPUT_NAME, export_onnx
from heliochrome.core.onnx_metadata import NETWORK_KEY, SOURCE_KEY, read_metadata

CPU_BACKENDS = {"openvino", "onnxruntime", "torch"}
BEST = {"openvino on cpu": 0.1, "torch on cpu": 0.2, "onnxruntime on cpu": 0.3}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = micro.save(tmp_path_factory.mktemp("model") / "micro.safetensors")
    export_onnx(path, path.with_suffix(".onnx"), hash_file(path))
    return path


def copied(checkpoint: Path, folder: Path) -> Path:
    """The checkpoint with its export, in a folder of its own."""
    folder.mkdir(exist_ok=True)
    for suffix in (".safetensors", ".onnx"):
        (folder / f"micro{suffix}").write_bytes(checkpoint.with_suffix(suffix).read_bytes())
    return folder / "micro.safetensors"


def measurements(cache: Path) -> dict[str, dict[str, float | None]]:
    found: dict[str, dict[str, float | None]] = json.loads((cache / "backends.json").read_text())
    return found


def test_auto_measures_once_and_says_what_it_found(checkpoint: Path, tmp_path: Path) -> None:
    opened = open_chosen(checkpoint, cache=tmp_path)
    name = opened.backend.name
    assert opened.backend.device == "cpu" and opened.notices == ()
    assert opened.choice.startswith(f"{name} on cpu in f32: measured ")
    assert all(f"{other} on cpu " in opened.choice for other in CPU_BACKENDS - {name})
    (entry,) = measurements(tmp_path).values()
    assert set(entry) == {f"{backend} on cpu" for backend in CPU_BACKENDS}
    assert min(entry, key=entry.__getitem__) == f"{name} on cpu"

    slowest = max(entry, key=entry.__getitem__)
    path = tmp_path / "backends.json"
    path.write_text(json.dumps({key: {**entry, slowest: 1e-6} for key in measurements(tmp_path)}))
    again = open_chosen(checkpoint, cache=tmp_path)  # what is remembered decides
    assert f"{again.backend.name} on cpu" == slowest and "in an earlier run" in again.choice


def test_what_is_remembered_imports_no_other_runtime(checkpoint: Path, tmp_path: Path) -> None:
    open_chosen(checkpoint, cache=tmp_path)
    (key,) = measurements(tmp_path)
    (tmp_path / "backends.json").write_text(json.dumps({key: BEST}))
    probe = (
        "import sys; from pathlib import Path; from heliochrome.core.backends import open_chosen;"
        f"open_chosen(Path({str(checkpoint)!r}), cache=Path({str(tmp_path)!r}));"
        "assert 'openvino' in sys.modules;"
        "assert not {'torch', 'onnxruntime'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", probe], check=True)


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "[]",
        '{"',
        '{"%s": 3}',
        '{"%s": {"openvino on cpu": -1}}',
        '{"%s": {"caffe on cpu": 0.1}}',
    ],
)
def test_a_damaged_memory_is_made_again(checkpoint: Path, tmp_path: Path, damage: str) -> None:
    open_chosen(checkpoint, cache=tmp_path)
    (key,) = measurements(tmp_path)
    (tmp_path / "backends.json").write_text(damage.replace("%s", key))
    assert open_chosen(checkpoint, cache=tmp_path).backend.name in CPU_BACKENDS
    assert set(measurements(tmp_path)[key]) == {f"{name} on cpu" for name in CPU_BACKENDS}


def test_an_export_alone_is_run_by_what_reads_it(checkpoint: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.onnx"
    alone.write_bytes(checkpoint.with_suffix(".onnx").read_bytes())
    opened = open_chosen(alone, cache=tmp_path / "cache")
    assert opened.backend.name in ("openvino", "onnxruntime") and opened.notices == ()


ERRORS = ["ImportError", "OSError", "AttributeError", "RuntimeError"]


def _broken_runtime(folder: Path, name: str, error: str) -> dict[str, str]:
    """An environment in which importing this runtime fails, as with a missing system library."""
    package = folder / "broken" / name
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f"raise {error}('libtbb.so.12: cannot open')")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(package.parent), *sys.path])}


@pytest.mark.parametrize("error", ERRORS)
def test_a_broken_runtime_is_passed_over_and_said(
    checkpoint: Path, tmp_path: Path, error: str
) -> None:
    environ = _broken_runtime(tmp_path, "openvino", error)
    opening = (
        "import logging; from pathlib import Path;"
        "from heliochrome.core.backends import open_chosen;"
        "logging.basicConfig(level=logging.INFO);"
        f"print(open_chosen(Path({str(checkpoint)!r}), %r).backend.name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", opening % "auto"], env=environ, capture_output=True, text=True
    )
    assert done.stdout.strip() in ("torch", "onnxruntime"), done.stderr
    assert "WARNING" in done.stderr and "libtbb.so.12" in done.stderr
    asked = subprocess.run(
        [sys.executable, "-c", opening % "openvino"], env=environ, capture_output=True, text=True
    )
    assert asked.returncode == 1
    assert "BackendUnavailable" in asked.stderr and "or choose auto" in asked.stderr


def _nonsense(path: Path, sha256: str) -> None:
    """A sound ONNX file of another network: it loads, and what it gives has the wrong shape."""
    kind = onnx.TensorProto.FLOAT
    shapes = [1, 3, "h", "w"]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", [INPUT_NAME], [OUTPUT_NAME])],
        "nonsense",
        [onnx.helper.make_tensor_value_info(INPUT_NAME, kind, shapes)],
        [onnx.helper.make_tensor_value_info(OUTPUT_NAME, kind, shapes)],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)])
    model.ir_version = 10
    onnx.helper.set_model_props(model, {SOURCE_KEY: sha256})
    onnx.save(model, path)


def _text(path: Path, sha256: str) -> None:
    path.write_text("<html>404</html>")


def _cut(path: Path, sha256: str) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("damage", [_nonsense, _text, _cut], ids=lambda f: f.__name__)
def test_an_export_that_does_not_run_leaves_torch(
    checkpoint: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path, str], None],
) -> None:
    weights = copied(checkpoint, tmp_path / "model")
    damage(weights.with_suffix(".onnx"), hash_file(weights))
    with caplog.at_level(logging.WARNING):
        opened = open_chosen(weights)
    assert opened.backend.name == "torch"
    assert caplog.text.count("is passed over") == 2  # openvino and onnxruntime, each with a reason
    with pytest.raises((BadWeights, BackendUnavailable)):
        open_chosen(weights.with_suffix(".onnx"))


def test_a_chosen_backend_that_stopped_working_is_replaced(
    checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights, cache = copied(checkpoint, tmp_path / "model"), tmp_path / "cache"
    open_chosen(weights, cache=cache)
    (key,) = measurements(cache)
    (cache / "backends.json").write_text(json.dumps({key: BEST}))
    export = weights.with_suffix(".onnx").read_bytes()
    _cut(weights.with_suffix(".onnx"), "")
    with caplog.at_level(logging.WARNING):
        assert open_chosen(weights, cache=cache).backend.name == "torch"
    assert "openvino on cpu is passed over" in caplog.text
    weights.with_suffix(".onnx").write_bytes(export)  # mended: the old choice holds again
    assert open_chosen(weights, cache=cache).backend.name == "openvino"


@pytest.mark.parametrize(
    ("known", "again"),
    [
        (BEST, False),
        ({"onnxruntime on cpu": 0.1, "openvino": None, "torch": None}, False),
        ({"onnxruntime on cpu": 0.1, "torch on cpu": 0.2}, True),  # openvino was added since
        ({"torch on cpu": 0.1}, True),
        ({"openvino": None, "onnxruntime": None, "torch": None}, True),
    ],
)
def test_a_memory_that_leaves_out_what_is_installed_is_made_again(
    checkpoint: Path, tmp_path: Path, known: dict[str, float | None], again: bool
) -> None:
    open_chosen(checkpoint, cache=tmp_path)
    (key,) = measurements(tmp_path)
    (tmp_path / "backends.json").write_text(json.dumps({key: known}))
    choice = open_chosen(checkpoint, cache=tmp_path).choice
    assert ("in an earlier run" in choice) != again
    assert (measurements(tmp_path)[key] != known) == again


def test_a_failure_that_may_pass_is_not_remembered(checkpoint: Path, tmp_path: Path) -> None:
    """As without onnxscript: the user exports, and the next run measures all of them."""
    weights, cache = copied(checkpoint, tmp_path / "model"), tmp_path / "cache"
    export = weights.with_suffix(".onnx").rename(tmp_path / "later.onnx")
    assert open_chosen(weights, cache=cache).backend.name == "torch"
    assert not (cache / "backends.json").exists()
    export.rename(weights.with_suffix(".onnx"))
    open_chosen(weights, cache=cache)
    (entry,) = measurements(cache).values()
    assert set(entry) == {f"{backend} on cpu" for backend in CPU_BACKENDS}


def test_what_is_remembered_counts_while_a_runtime_stays_broken(
    checkpoint: Path, tmp_path: Path
) -> None:
    environ = _broken_runtime(tmp_path, "openvino", "ImportError")
    opening = (
        "from pathlib import Path; from heliochrome.core.backends import open_chosen;"
        f"print(open_chosen(Path({str(checkpoint)!r}), cache=Path({str(tmp_path)!r})).choice)"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", opening], env=environ, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert ["in an earlier run" in choice for choice in said] == [False, True]
    assert "in an earlier run" not in open_chosen(checkpoint, cache=tmp_path).choice  # mended


class Fake:
    """A runtime's module and its backend; says what was asked of it."""

    precision, weight_bytes, source_sha256 = "f32", 1, None

    def __init__(self, name: str, devices: tuple[str, ...] = ("cpu",), fails: str = "") -> None:
        self.name, self.device = name, "cpu"
        self._devices, self._fails = devices, fails
        self.passes = 0

    def devices(self) -> tuple[str, ...]:
        return self._devices

    def precisions(self, device: str) -> tuple[str, ...]:
        return ("f32",)

    def load(self, request: Request) -> Fake:
        if not self._devices:
            raise BackendUnavailable(f"{self.name}: there is no {request.device} here.")
        self.device = request.device
        return self

    def predict_ab(self, gray_rgb: np.ndarray) -> np.ndarray:
        self.passes += 1
        if self.device == self._fails:
            raise BackendUnavailable("no kernel image for this device")
        time.sleep(0.01 if self.name == "torch" else 0.001)
        return np.zeros((1, 2, *gray_rgb.shape[2:]), np.float32)

    def close(self) -> None:
        pass


def install(monkeypatch: pytest.MonkeyPatch, *fakes: Fake) -> None:
    """These are the only runtimes of this machine."""
    by_name = {fake.name: fake for fake in fakes}
    monkeypatch.setattr(installed, "backend_module", by_name.__getitem__)
    monkeypatch.setattr(probe, "backend_module", by_name.__getitem__)
    for module in (opening, probe):
        monkeypatch.setattr(module, "usable_backends", lambda: list(by_name))


def test_a_backend_without_a_device_says_so_itself(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, Fake("tensorrt", devices=()))
    with pytest.raises(BackendUnavailable, match="tensorrt: there is no cuda here"):
        open_chosen(checkpoint, "tensorrt")


@pytest.mark.parametrize("fails", ["", "cuda"])
def test_a_single_gpu_is_tried_before_it_is_chosen(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fails: str
) -> None:
    gpu, cpu = Fake("torch", ("cuda", "cpu"), fails), Fake("openvino")
    install(monkeypatch, gpu, cpu)
    opened = open_chosen(checkpoint)
    if fails:
        assert str(opened.backend.name) == "openvino" and gpu.passes > 1
        assert opened.choice.startswith("openvino on cpu in f32: measured ")
        assert "torch on cpu " in opened.choice
        assert "torch on cuda is passed over: no kernel image" in caplog.text
    else:
        assert opened.choice == "torch on cuda in f32: the only one that can be used on cuda here."
        assert (gpu.passes, cpu.passes) == (1, 0)


def test_when_all_gpus_fail_the_processor_is_measured(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    both = ("cuda", "cpu")
    install(monkeypatch, Fake("torch", both, "cuda"), Fake("onnxruntime", both, "cuda"))
    opened = open_chosen(checkpoint, cache=tmp_path)
    assert opened.choice.startswith("onnxruntime on cpu in f32: measured ")
    assert not (tmp_path / "backends.json").exists()


def test_a_failed_load_is_let_go_of_before_the_next(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what the error behind the error held, in objects that refer to each other."""

    class Weights:
        def __init__(self) -> None:
            self.itself = self

    held: list[weakref.ref[Weights]] = []
    alive: list[int] = []

    class Full(Fake):
        def load(self, request: Request) -> Fake:
            alive.append(sum(ref() is not None for ref in held))
            if self.name == "onnxruntime":
                return super().load(request)
            weights = Weights()
            held.append(weakref.ref(weights))
            try:
                raise RuntimeError(f"bad allocation beside {weights!r}")
            except RuntimeError as error:
                raise OutOfMemory("not enough memory to load it") from error

    install(monkeypatch, *(Full(name) for name in ("openvino", "torch", "onnxruntime")))
    gc.disable()  # only what is done on purpose counts
    try:
        opened = [open_chosen(checkpoint, name) for name in ("auto", "openvino")]
    finally:
        gc.enable()
    assert {found.backend.name for found in opened} == {"onnxruntime"}
    assert all(found.notices for found in opened)
    assert len(held) > 3 and not any(alive)


def test_exports_are_made_once_and_kept_by_digest(tmp_path: Path) -> None:
    weights, cache = micro.save(tmp_path / "micro.safetensors"), tmp_path / "cache"
    sha256 = hash_file(weights)
    backend = open_backend(weights, "openvino", sha256=sha256, cache=cache)
    made = cache / "exports" / f"{sha256}.onnx"
    assert backend.source_sha256 == sha256 and made.is_file()
    assert json.loads(read_metadata(made)[NETWORK_KEY])["dims"] == [16, 32, 64, 128]
    before = made.stat().st_mtime_ns
    open_backend(weights, "onnxruntime", sha256=sha256, cache=cache)
    assert made.stat().st_mtime_ns == before
    _cut(made, "")
    open_backend(weights, "onnxruntime", sha256=sha256, cache=cache)
    assert made.stat().st_mtime_ns != before

    beside = weights.with_suffix(".onnx")
    export_onnx(weights, beside, "f" * 64)  # of another checkpoint: not used
    assert open_backend(weights, "openvino", sha256=sha256, cache=cache).source_sha256 == sha256
    with pytest.raises(BackendUnavailable, match="exported from another file"):
        open_backend(weights, "openvino", sha256=sha256)


def test_a_cache_that_is_a_file_leaves_torch(tmp_path: Path) -> None:
    weights, cache = micro.save(tmp_path / "micro.safetensors"), tmp_path / "cache"
    cache.write_text("")
    assert open_chosen(weights, sha256=hash_file(weights), cache=cache).backend.name == "torch"


@pytest.mark.parametrize(
    ("backend", "precision", "text"),
    [
        ("openvino", "fp16", "choose f32"),
        ("onnxruntime", "bf16", "choose f32 or int8"),
        ("torch", "int8", "choose f32"),
        ("auto", "fp16", "none of the installed backends"),
    ],
)
def test_a_precision_that_cannot_be_had_is_said(
    checkpoint: Path, backend: str, precision: str, text: str
) -> None:
    with pytest.raises(BackendUnavailable, match=text):
        open_backend(checkpoint, backend, "cpu", precision=precision)


def test_int8_says_how_to_quantise(checkpoint: Path) -> None:
    with pytest.raises(BackendUnavailable, match="heliochrome quantize"):
        open_backend(checkpoint, "openvino", precision="int8")
    with pytest.raises(BackendUnavailable, match="holds f32 numbers, not int8"):
        open_backend(checkpoint.with_suffix(".onnx"), "openvino", precision="int8")
    with pytest.raises(BadSetting, match="precision must be"):
        open_backend(checkpoint, precision="f64")


@pytest.mark.parametrize(
    ("files", "group", "cores"),
    [
        ({}, "0::/", None),
        ({"cpu.max": "max 100000"}, "0::/", None),
        ({"cpu.max": "100000 100000"}, "0::/", 1),
        ({"a/cpu.max": "50000 100000", "a/b/cpu.max": "max 100000"}, "0::/a/b", 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "4:cpu:/", None),
        ({"cpu/cpu.cfs_quota_us": "90000", "cpu/cpu.cfs_period_us": "100000"}, "4:cpu:/", 1),
    ],
)
def test_a_containers_cores_are_counted(
    tmp_path: Path, files: dict[str, str], group: str, cores: int | None
) -> None:
    proc, cgroups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "self" / "cgroup").write_text(f"{group}\n")
    for name, text in files.items():
        (cgroups / name).parent.mkdir(parents=True, exist_ok=True)
        (cgroups / name).write_text(text)
    everything = usable_cores(tmp_path / "none", tmp_path / "none")
    assert everything == len(os.sched_getaffinity(0))
    assert usable_cores(proc, cgroups) == (everything if cores is None else cores)
