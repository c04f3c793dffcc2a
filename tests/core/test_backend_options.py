"""What the runtimes are asked for, and the memory they are said to need."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import micro
from heliochrome.core.backends import base, install_command, open_backend, usable_backends
from heliochrome.core.backends.base import Request, kept_in
from heliochrome.core.backends.exported import Exported, find_exported
from heliochrome.core.backends.installed import backend_module
from heliochrome.core.backends.memory_table import activation_bytes, export_bytes, load_bytes
from heliochrome.core.backends.nvidia import gpu_name
from heliochrome.core.backends.probe import Candidate, open_candidate
from heliochrome.core.errors import BackendUnavailable, OutOfMemory
from heliochrome.core.export import export_onnx
from heliochrome.core.extent import Extent

MEASURED = Path(__file__).parents[2] / "benchmarks/results/memory.json"
MB = 1_000_000


@pytest.mark.parametrize(
    "row",
    json.loads(MEASURED.read_text())["rows"],
    ids=lambda row: "{backend}-{precision}-{network}-{size}".format(**row),
)
def test_the_memory_table_covers_what_was_measured(row: dict[str, object]) -> None:
    size, growth = int(str(row["size"])), int(str(row["growth_bytes"]))
    f32_bytes = {"tiny": 220, "large": 912}[str(row["network"])] * MB
    said = activation_bytes(
        str(row["backend"]), str(row["precision"]), f32_bytes, Extent(size, size)
    )
    assert growth <= said <= 1.5 * growth + 260 * MB


def test_onnx_runtime_at_1024_stays_below_its_limit() -> None:
    for f32_bytes in (220 * MB, 912 * MB):
        need = activation_bytes("onnxruntime", "f32", f32_bytes, Extent(1024, 1024))
        assert need + f32_bytes < 3_500 * MB


@pytest.mark.skipif(gpu_name() is not None, reason="this machine has a GPU")
def test_tensorrt_says_what_is_missing(tmp_path: Path) -> None:
    assert "tensorrt" not in usable_backends()
    with pytest.raises(BackendUnavailable, match=r"tensorrt-cu13==10\.16") as refused:
        open_backend(micro.save(tmp_path / "micro.safetensors"), "tensorrt")
    assert install_command("tensorrt") in str(refused.value)


def test_tensorrt_builds_one_engine_for_every_size(tmp_path: Path) -> None:
    from heliochrome.core.backends.tensorrt import engine_options

    options = engine_options("fp16", tmp_path)
    assert options["trt_fp16_enable"] is True
    assert options["trt_profile_min_shapes"] == "gray_rgb:1x3x32x32"
    assert options["trt_profile_opt_shapes"] == "gray_rgb:1x3x512x512"
    assert options["trt_profile_max_shapes"] == "gray_rgb:1x3x1280x1280"
    assert options["trt_engine_cache_path"] == str(tmp_path / "tensorrt")
    alone = engine_options("f32", None)
    assert alone["trt_fp16_enable"] is False and "trt_engine_cache_enable" not in alone


@pytest.mark.parametrize("kept", [True, False])
def test_nothing_is_kept_where_nothing_can_be_written(tmp_path: Path, kept: bool) -> None:
    from heliochrome.core.backends.tensorrt import engine_options

    cache = tmp_path / "cache"
    if not kept:
        cache.write_text("a file")
    assert kept_in(cache, "openvino") == (str(cache / "openvino") if kept else None)
    assert kept_in(None, "openvino") is None
    assert ("trt_engine_cache_path" in engine_options("fp16", cache)) == kept
    weights = micro.save(tmp_path / "micro.safetensors")
    export_onnx(weights, weights.with_suffix(".onnx"), "0" * 64)
    opened = open_backend(weights.with_suffix(".onnx"), "openvino", cache=cache)
    assert opened.name == "openvino"
    assert any((cache / "openvino").glob("*.blob")) == kept


@pytest.mark.parametrize("text", ["no space left on device", "bad_alloc"])
def test_openvino_compiles_once_more_without_its_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    import openvino

    weights = micro.save(tmp_path / "micro.safetensors")
    export_onnx(weights, weights.with_suffix(".onnx"), "0" * 64)
    compile_model = openvino.Core.compile_model
    tried = []

    def compiled(core: openvino.Core, model: object, device: str, options: dict) -> object:
        tried.append("CACHE_DIR" in options)
        if tried[-1]:
            raise RuntimeError(text)
        return compile_model(core, model, device, options)

    monkeypatch.setattr(openvino.Core, "compile_model", compiled)
    request = Request(weights.with_suffix(".onnx"), "cpu", cache=tmp_path)
    module = backend_module("openvino")
    if text == "bad_alloc":
        with pytest.raises(OutOfMemory):
            module.load(request)
        assert tried == [True]
    else:
        assert module.load(request).name == "openvino"
        assert tried == [True, False]


MEMORY = [
    "CUDA out of memory. Tried to allocate 2.00 GiB.",
    "CUDA error: out of memory\nCompile with `TORCH_USE_CUDA_DSA` to enable assertions.",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    "[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried",
    "DefaultCPUAllocator: not enough memory: you tried to allocate 4294967296 bytes.",
    "could not create a primitive",
]
OTHERS = [
    "CUDA error: no kernel image is available for execution on the device\nCompile with x.",
    "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
    "expected scalar type Float but found Half",
    "the allocator was changed after it was used",
]


@pytest.mark.parametrize("text", MEMORY + OTHERS)
@pytest.mark.parametrize("stage", ["load", "predict"])
def test_pytorchs_errors_become_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, stage: str
) -> None:
    module = backend_module("torch")

    def fail(*_: object) -> None:
        raise RuntimeError(text)

    weights = micro.save(tmp_path / "micro.safetensors")
    if stage == "load":
        monkeypatch.setattr(module, "load_network", fail)
    else:
        backend = module.load(Request(weights, "cpu"))
        monkeypatch.setattr(backend, "_net", fail)
    with pytest.raises(OutOfMemory if text in MEMORY else BackendUnavailable) as raised:
        if stage == "load":
            module.load(Request(weights, "cpu"))
        else:
            backend.predict_ab(np.zeros((1, 3, 32, 32), np.float32))
    if text in OTHERS:
        assert text.splitlines()[0] in str(raised.value)


@pytest.mark.parametrize("stage", ["load", "export"])
def test_too_little_memory_is_said_before_it_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    weights = micro.save(tmp_path / "micro.safetensors")
    size = weights.stat().st_size
    needed = export_bytes(size) if stage == "export" else load_bytes("torch", size)
    monkeypatch.setattr(base, "free_bytes", lambda device, wanted: needed - 1)
    with pytest.raises(OutOfMemory, match=f"not enough memory to {stage} micro") as refused:
        if stage == "load":
            open_candidate(Candidate("torch", "cpu"), Request(weights, "cpu"))
        else:
            find_exported(Request(weights, "cpu", sha256="0" * 64, cache=tmp_path), "OpenVINO")
    assert "is free" in str(refused.value) and "\n" not in str(refused.value)
    monkeypatch.setattr(base, "free_bytes", lambda device, wanted: needed)
    if stage == "load":
        open_candidate(Candidate("torch", "cpu"), Request(weights, "cpu")).close()


def test_what_onnx_runtime_prints_is_not_a_result(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = backend_module("onnxruntime")
    monkeypatch.setattr(module.ort, "preload_dlls", lambda: sys.stdout.write("no libcublas\n"))
    module.preload_cuda()
    assert capsys.readouterr() == ("", "no libcublas\n")


def test_a_damaged_export_beside_the_weights_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights, cache = micro.save(tmp_path / "micro.safetensors"), tmp_path / "cache"
    kept = cache / "exports" / f"{'0' * 64}.onnx"
    kept.parent.mkdir(parents=True)
    export_onnx(weights, kept, "0" * 64)
    weights.with_suffix(".onnx").write_text("<html>404</html>")
    asked = Request(weights, "cpu", sha256="0" * 64, cache=cache)
    assert find_exported(asked, "OpenVINO").path == kept
    assert f"{weights.with_suffix('.onnx')}" in caplog.text


def test_tensorrt_does_not_take_quantised_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = backend_module("tensorrt")
    quantised = Exported(tmp_path / "m.onnx", "0" * 64, "int8", None)
    monkeypatch.setattr(module, "_missing", lambda: None)
    monkeypatch.setattr(module, "find_exported", lambda *_: quantised)
    with pytest.raises(BackendUnavailable, match="choose fp16 or f32"):
        module.load(Request(quantised.path, "cuda"))
