"""int8: made from photographs, judged on others, and run by the runtimes that read ONNX."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import micro
from heliochrome.cli import main
from heliochrome.core.backends import open_backend, open_chosen
from heliochrome.core.disk import hash_file
from heliochrome.core.errors import BackendUnavailable, BadSetting, BadWeights, OutputExists
from heliochrome.core.export import INT8_SUFFIX, export_onnx
from heliochrome.core.onnx_metadata import NETWORK_KEY, PRECISION_KEY, SOURCE_KEY, read_metadata
from heliochrome.core.quantize import quantize
from heliochrome.core.sample import draw_sample

pytest.importorskip("nncf")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder, sample = tmp_path_factory.mktemp("photos"), Image.fromarray(draw_sample())
    for i, box in enumerate([(0, 0, 960, 720), (0, 0, 640, 640), (300, 100, 960, 500)]):
        sample.crop(box).save(folder / f"{i}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = micro.save(tmp_path_factory.mktemp("model") / "micro.safetensors")
    export_onnx(path, path.with_suffix(".onnx"), hash_file(path))
    return path


def test_an_int8_model_is_made_through_the_command_line(
    checkpoint: Path,
    photos: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HELIOCHROME_CACHE", str(tmp_path))
    assert main(["quantize", str(checkpoint), *map(str, photos), "--size", "256"]) == 0
    out = capsys.readouterr().out
    target = checkpoint.with_suffix(INT8_SUFFIX)
    assert out.splitlines()[0] == str(target)
    assert "calibrated on 2 photographs, judged on the others: 2.png" in out
    assert "mean " in out and "largest " in out
    notes = read_metadata(target)
    assert notes[PRECISION_KEY] == "int8" and notes[SOURCE_KEY] == hash_file(checkpoint)
    assert notes[NETWORK_KEY] == read_metadata(checkpoint.with_suffix(".onnx"))[NETWORK_KEY]
    assert target.stat().st_size < 0.6 * checkpoint.with_suffix(".onnx").stat().st_size

    plane = np.asarray(Image.open(photos[0]).convert("L").resize((256, 192)), np.float32) / 255
    x = np.repeat(plane[None, None], 3, axis=1)
    exact = open_backend(checkpoint, "openvino").predict_ab(x)
    for backend in ("openvino", "onnxruntime"):
        opened = open_backend(
            checkpoint, backend, precision="int8", sha256=hash_file(checkpoint), cache=tmp_path
        )
        assert opened.precision == "int8" and opened.source_sha256 == hash_file(checkpoint)
        error = np.abs(opened.predict_ab(x) - exact)
        assert 0 < error.mean() < 0.5 * exact.std()  # quantised, and still the same picture
    assert open_chosen(target).backend.precision == "int8"
    assert open_chosen(checkpoint, precision="int8").backend.precision == "int8"
    assert open_backend(checkpoint, "openvino").precision == "f32"
    with pytest.raises(BackendUnavailable, match="holds int8 numbers, not f32"):
        open_backend(target, "openvino", precision="f32")
    with pytest.raises(BackendUnavailable, match="quantised from another file"):
        open_backend(checkpoint, "openvino", precision="int8", sha256="f" * 64)
    with pytest.raises(OutputExists, match="--overwrite"):
        quantize(checkpoint, photos, target, sha256="")


@pytest.mark.parametrize("number", [0, 1])
def test_too_few_photographs_are_refused(
    checkpoint: Path, photos: list[Path], tmp_path: Path, number: int
) -> None:
    target = tmp_path / "x.int8.onnx"
    with pytest.raises(BadSetting, match="at least 2 photographs"):
        quantize(checkpoint, photos[:number], target, sha256=hash_file(checkpoint))
    assert not target.exists()


def test_what_is_no_model_is_refused(photos: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("<html>404</html>")
    with pytest.raises(BadWeights, match="not a readable ONNX model"):
        quantize(path, photos, tmp_path / "x.int8.onnx", sha256="")
