"""Every runtime on one exported model; what goes wrong is said in one message."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import micro
from heliochrome.core.backends import open_backend
from heliochrome.core.errors import BackendUnavailable, BadSetting, BadWeights, OutputExists
from heliochrome.core.export import OPSET, export_onnx
from heliochrome.core.extent import Extent


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = micro.save(tmp_path_factory.mktemp("model") / "micro.pth")
    export_onnx(path, path.with_suffix(".onnx"), "0" * 64)
    return path


def grey(batch: int, height: int, width: int) -> np.ndarray:
    plane = np.random.default_rng(1).random((batch, 1, height, width), np.float32)
    return np.repeat(plane, 3, axis=1)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 512), (256, 256), (352, 160)])
def test_every_backend_equals_the_network(checkpoint: Path, height: int, width: int) -> None:
    x = grey(1, height, width)
    with torch.inference_mode():
        truth = micro.micro_network()(torch.from_numpy(x)).numpy()
    for name in ("torch", "onnxruntime", "openvino"):
        backend = open_backend(checkpoint, name, "cpu")
        assert backend.source_sha256 == (None if name == "torch" else "0" * 64)
        assert (backend.name, backend.device) == (name, "cpu")
        assert backend.weight_bytes > 1_000_000
        assert backend.precision == "f32"
        one, two = (backend.activation_bytes(Extent(512, 512), batch) for batch in (1, 2))
        assert two == (2 * one if name == "torch" else one) > 0  # the others take one at a time
        ab = backend.predict_ab(x)
        assert ab.dtype == np.float32 and ab.shape == (1, 2, height, width)
        assert np.abs(ab - truth).max() <= 3e-4
        backend.close()


def test_export_is_one_file_of_the_stated_opset_and_is_not_overwritten(checkpoint: Path) -> None:
    target = checkpoint.with_suffix(".onnx")
    model = onnx.load(target)
    assert [entry.version for entry in model.opset_import if not entry.domain] == [OPSET]
    assert sorted(path.name for path in target.parent.iterdir()) == ["micro.onnx", "micro.pth"]
    with pytest.raises(OutputExists, match="--overwrite"):
        export_onnx(checkpoint, target, "0" * 64)
    with pytest.raises(OutputExists, match="never overwritten"):
        export_onnx(checkpoint, checkpoint, "0" * 64, overwrite=True)


def _text(path: Path) -> None:
    path.write_text("<html>404</html>")


def _cut(path: Path) -> None:
    micro.save(path)
    os.truncate(path, path.stat().st_size // 2)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _list(path: Path) -> None:
    torch.save([1, 2, 3], path)


def _code(path: Path) -> None:
    torch.save({"params": os.system}, path)


def _other_network(path: Path) -> None:
    torch.save({"params": {"conv.weight": torch.zeros(3, 3)}}, path)


def _missing(path: Path) -> None:
    path.unlink(missing_ok=True)


@pytest.mark.parametrize(
    "make", [_text, _cut, _empty, _list, _code, _other_network, _missing], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".bin"])
def test_what_is_no_checkpoint_is_refused(
    tmp_path: Path, make: Callable[[Path], None], suffix: str
) -> None:
    path = tmp_path / f"model{suffix}"
    make(path)
    with pytest.raises(BadWeights, match="model") as refused:
        open_backend(path, "torch", "cpu")
    assert "\n" not in str(refused.value)


def test_onnxruntime_says_how_to_export(tmp_path: Path) -> None:
    path = micro.save(tmp_path / "micro.safetensors")
    with pytest.raises(BackendUnavailable, match="heliochrome export"):
        open_backend(path, "onnxruntime", "cpu")
    _text(path.with_suffix(".onnx"))
    with pytest.raises(BadWeights, match="export it again"):
        open_backend(path, "onnxruntime", "cpu")


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_an_onnx_model_of_another_tool_is_refused(tmp_path: Path, name: str) -> None:
    import onnx
    from onnx import helper

    image, ab = (
        helper.make_tensor_value_info(side, onnx.TensorProto.FLOAT, [1, 3, 32, 32])
        for side in ("image", "ab")
    )
    graph = helper.make_graph([helper.make_node("Identity", ["image"], ["ab"])], "", [image], [ab])
    opset = helper.make_opsetid("", 17)
    path = tmp_path / "other.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    with pytest.raises(BadWeights, match=r"'gray_rgb' expected, got \['image'\]"):
        open_backend(path, name, "cpu")


def test_unknown_names_are_refused(checkpoint: Path) -> None:
    with pytest.raises(BadSetting, match="backend must be"):
        open_backend(checkpoint, "caffe")
    with pytest.raises(BadSetting, match="device must be"):
        open_backend(checkpoint, "torch", "tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_said(checkpoint: Path) -> None:
    for backend in ("torch", "onnxruntime"):
        with pytest.raises(BackendUnavailable, match="cuda was asked for"):
            open_backend(checkpoint, backend, "cuda")


def test_importing_heliochrome_is_quick_and_loads_no_runtime() -> None:
    probe = (
        "import sys, heliochrome.core.backends, heliochrome.cli, heliochrome.core.store;"
        "heavy = {'torch', 'onnxruntime', 'openvino', 'nncf', 'onnx', 'numba', 'pyvips',"
        "         'tifffile', 'obstore', 'safetensors'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", probe], check=True)
