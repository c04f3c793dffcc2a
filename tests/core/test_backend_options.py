"""What the runtimes are asked for, and the memory they are said to need."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import micro
from heliochrome.core.backends import install_command, open_backend, usable_backends
from heliochrome.core.backends.memory_table import activation_bytes
from heliochrome.core.backends.nvidia import gpu_name
from heliochrome.core.errors import BackendUnavailable
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
