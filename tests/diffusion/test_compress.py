"""Models with int8 weights: smaller, near the original, and made as a whole."""

from __future__ import annotations

import shutil
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny_diffusion
from heliochrome.core.errors import (
    BackendUnavailable,
    BadSetting,
    BadWeights,
    Cancelled,
    HeliochromeError,
    ModelNotFound,
    OutputExists,
)
from heliochrome.core.store import ModelStore
from heliochrome.diffusion import GenerationRequest, open_engine
from heliochrome.diffusion.compress import Compressed, compress
from heliochrome.diffusion.sources import resolve
from tiny_diffusion_networks import Shape

# Wide enough for weights, not the graphs' text, to make up most of the folder.
WIDE = Shape(channels=(24, 48, 64, 64), context=32)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_diffusion.build(tmp_path_factory.mktemp("models") / "wide", shape=WIDE)


@pytest.fixture(scope="module")
def made(original: Path) -> Compressed:
    return compress(original, original.with_name("wide-int8"))


def picture(folder: Path) -> np.ndarray[Any, Any]:
    engine = open_engine(folder)
    try:
        request = GenerationRequest(prompt="a red house", seed=3, num_inference_steps=4)
        return engine.generate(request).images[0]
    finally:
        engine.close()


def size(folder: Path, name: str) -> int:
    return sum(path.stat().st_size for path in folder.rglob(name))


def test_weights_take_a_quarter_and_pictures_stay_near(original: Path, made: Compressed):
    weights = "openvino_model.bin"
    assert size(made.folder, weights) < 0.3 * size(original, weights)
    assert made.bytes_after < made.bytes_before == size(original, "*.*")
    assert 0 < made.unet_difference < 0.02
    before, after = picture(original), picture(made.folder)
    assert 0 < np.abs(before - after).mean() < 0.02
    assert before.std() > 0.05


def test_it_is_a_model_of_the_store_with_a_manifest(made: Compressed, tmp_path: Path):
    store = ModelStore([made.folder.parent], tmp_path)
    assert resolve(store, "wide-int8") == made.folder
    assert '"int8 of wide"' in (made.folder / "heliochrome-model.json").read_text()


def cut_unet(folder: Path) -> None:
    (folder / "unet/openvino_model.bin").write_bytes(b"")


def no_unet(folder: Path) -> None:
    (folder / "unet/openvino_model.bin").unlink()


def no_index(folder: Path) -> None:
    (folder / "model_index.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "error"),
    [(cut_unet, BadWeights), (no_unet, BadWeights), (no_index, ModelNotFound)],
)
def test_a_damaged_model_is_refused_and_nothing_is_left(
    original: Path, tmp_path: Path, spoil: Any, error: type[HeliochromeError]
):
    source = shutil.copytree(original, tmp_path / "source")
    spoil(source)
    with pytest.raises(error):
        compress(source, tmp_path / "out/new")
    assert not list(tmp_path.glob("out/*")) + list(tmp_path.glob("out/.new.*part*"))


def test_int8_is_not_compressed_again_nor_another_folder_replaced(
    original: Path, made: Compressed, tmp_path: Path
):
    with pytest.raises(BadSetting, match="int8 weights already"):
        compress(made.folder, tmp_path / "again")
    with pytest.raises(OutputExists):
        compress(original, made.folder)
    with pytest.raises(OutputExists):
        compress(original, original)


def test_stopping_ends_nncf_and_leaves_nothing(original: Path, tmp_path: Path):
    asked = 0

    def cancel() -> None:
        nonlocal asked
        asked += 1
        if asked > 25:  # after the files are copied: nncf is being loaded
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        compress(original, tmp_path / "new", cancel=cancel)
    assert [path.name for path in tmp_path.iterdir()] == [".new.lock"]


def test_without_nncf_the_extra_is_named(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    found = util.find_spec
    monkeypatch.setattr(
        "heliochrome.core.quantize.find_spec",
        lambda name: None if name == "nncf" else found(name),
    )
    with pytest.raises(BackendUnavailable, match=r"heliochrome\[int8\]"):
        compress(original, tmp_path / "new")
    assert not list(tmp_path.iterdir())
