"""LoRA files count as much as they should, together too, and are refused if they would not."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from test_diffusion_model import fixed_shapes
from test_engine import PICTURES, ask, same

import tiny_diffusion
from heliochrome.core.errors import (
    BadSetting,
    BadWeights,
    GenerationFailed,
    ModelNotFound,
    OutOfMemory,
)
from heliochrome.core.lab import FloatArray
from heliochrome.diffusion import Engine, Lora, open_engine

Tensors = dict[str, np.ndarray[Any, Any]]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_diffusion.lora(tmp_path_factory.mktemp("loras") / "a.safetensors")


def pictures(folder: Path, *loras: Lora, cache: Path | None = None) -> dict[str, FloatArray]:
    """What each mode gives with these LoRAs; made twice, because states are kept."""
    engine = open_engine(folder, loras=loras, cache=cache)
    made = {mode: engine.generate(ask(mode)) for mode in PICTURES}
    assert all(same(engine.generate(ask(mode)), made[mode]) for mode in PICTURES)
    engine.close()
    return {mode: one.images for mode, one in made.items()}


def equal(one: dict[str, FloatArray], other: dict[str, FloatArray]) -> bool:
    return all(np.array_equal(one[mode], other[mode]) for mode in PICTURES)


def near(one: dict[str, FloatArray], other: dict[str, FloatArray]) -> bool:
    """Sums in another order: the last bit of a few pixels may differ."""
    return all(np.abs(one[mode] - other[mode]).max() <= 1.5 / 255 for mode in PICTURES)


def changed(file: Path, target: Path, change: Callable[[str, Any], Any]) -> Path:
    tensors: Tensors = {}
    for name, numbers in load_file(file).items():
        if (made := change(name, numbers)) is not None:
            tensors[name] = np.asarray(made)
    save_file(tensors, target)
    return target


def times(factor: float, *ends: str) -> Callable[[str, Any], Any]:
    return lambda name, numbers: (numbers * factor if name.endswith(ends) else numbers).astype("f4")


def test_it_changes_every_mode_as_much_as_its_alpha_says(
    file: Path, tiny: Path, tmp_path: Path, engine: Engine
) -> None:
    without = {mode: engine.generate(ask(mode)).images for mode in PICTURES}
    made = pictures(tiny, Lora(file))
    for mode in PICTURES:
        assert np.abs(made[mode] - without[mode]).max() > 0.03
    assert equal(pictures(tiny, Lora(file, 0.0)), without)
    assert equal(pictures(tiny, Lora(file, 1)), made)
    doubled = changed(file, tmp_path / "doubled.safetensors", times(2, "up.weight"))
    assert equal(pictures(tiny, Lora(file, 2)), pictures(tiny, Lora(doubled)))
    assert not near(pictures(tiny, Lora(file, -1)), made)


def test_the_files_own_alpha_counts(file: Path, tiny: Path, tmp_path: Path) -> None:
    """The runtime alone leaves it out: this file would count four times too much."""
    quarter = changed(file, tmp_path / "quarter.safetensors", times(0.25, ".alpha"))
    none = changed(
        file, tmp_path / "none.safetensors", lambda n, x: None if n.endswith(".alpha") else x
    )
    assert equal(pictures(tiny, Lora(quarter)), pictures(tiny, Lora(file, 0.25)))
    assert equal(pictures(tiny, Lora(none)), pictures(tiny, Lora(file)))  # its alpha is its rank


def test_several_add_up_and_do_not_replace_each_other(
    file: Path, tiny: Path, tmp_path: Path
) -> None:
    other = tiny_diffusion.lora(tmp_path / "b.safetensors", seed=3)
    assert near(pictures(tiny, Lora(file, 0.5), Lora(file, 0.5)), pictures(tiny, Lora(file)))
    both = pictures(tiny, Lora(file), Lora(other))
    assert near(both, pictures(tiny, Lora(other), Lora(file)))
    assert not near(both, pictures(tiny, Lora(file)))
    assert not near(both, pictures(tiny, Lora(other)))
    assert near(pictures(tiny, Lora(file), Lora(other, 0)), pictures(tiny, Lora(file)))


@pytest.mark.parametrize("kind", ["F16", "BF16"])
def test_half_precision_is_read(kind: str, file: Path, tiny: Path, tmp_path: Path) -> None:
    def rounded(name: str, numbers: Any) -> Any:
        if kind == "F16":
            return numbers.astype(np.float16)
        return (np.asarray(numbers, np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32)

    same_numbers = changed(
        file, tmp_path / "wide.safetensors", lambda n, x: rounded(n, x).astype(np.float32)
    )
    half = changed(file, tmp_path / "half.safetensors", rounded)
    if kind == "BF16":
        upper_halves(half)
    assert equal(pictures(tiny, Lora(half)), pictures(tiny, Lora(same_numbers)))


def upper_halves(path: Path) -> None:
    """Write a float32 file anew as BF16, which NumPy does not have."""
    header: dict[str, Any] = {}
    numbers = b""
    for name, wide in load_file(path).items():
        upper = (np.ascontiguousarray(wide).view(np.uint32) >> 16).astype("<u2").tobytes()
        places = (len(numbers), len(numbers) + len(upper))
        header[name] = {"dtype": "BF16", "shape": wide.shape, "data_offsets": places}
        numbers += upper
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + numbers)


def test_it_goes_with_a_cache_and_survives_a_failure(
    file: Path, tiny: Path, tmp_path: Path
) -> None:
    from dataclasses import replace

    made = pictures(tiny, Lora(file), cache=tmp_path)
    assert equal(made, pictures(tiny, Lora(file), cache=tmp_path))
    assert equal(made, pictures(tiny, Lora(file)))
    engine = open_engine(tiny, loras=[Lora(file)])
    engine.model = replace(engine.model, size_step=8)
    with pytest.raises(GenerationFailed):
        engine.generate(ask(width=72))
    assert np.array_equal(engine.generate(ask()).images, made["text-to-image"])
    engine.close()


def test_it_suits_an_inpainting_model(file: Path, tmp_path: Path) -> None:
    folder = tiny_diffusion.build(tmp_path / "m", kind="inpaint")
    plain, changed = open_engine(folder), open_engine(folder, loras=[Lora(file)])
    assert not same(plain.generate(ask("inpaint")), changed.generate(ask("inpaint")))
    plain.close()
    changed.close()


def test_a_model_that_takes_no_lora(file: Path, tmp_path: Path) -> None:
    folder = tiny_diffusion.build(tmp_path / "m")
    fixed_shapes(folder)
    with pytest.raises(BadWeights, match="Leave it out") as raised:
        open_engine(folder, loras=[Lora(file)])
    assert str(file) in str(raised.value)


def test_a_model_that_fails_when_a_lora_is_tried(file: Path, tmp_path: Path) -> None:
    folder = tiny_diffusion.build(tmp_path / "m")
    path = folder / "unet" / "config.json"
    # Sizes would be multiples of 8 then: the UNet itself fails at them.
    path.write_text(json.dumps(json.loads(path.read_text()) | {"block_out_channels": [8]}))
    with pytest.raises(GenerationFailed, match="leave the LoRA out"):
        open_engine(folder, loras=[Lora(file)])


@pytest.mark.parametrize("at", [1, 2])  # without the LoRA, with it
def test_no_memory_to_try_a_lora(
    at: int, file: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from heliochrome.diffusion import lora_check

    calls = iter(range(1, 3))
    real = lora_check.call_pipeline

    def full(*arguments: Any) -> Any:
        if next(calls) == at:
            raise MemoryError
        return real(*arguments)

    monkeypatch.setattr(lora_check, "call_pipeline", full)
    with pytest.raises(OutOfMemory, match="leave the LoRA out"):
        open_engine(tiny, loras=[Lora(file)])


@pytest.mark.parametrize("alpha", [float("nan"), float("inf"), 4.5, -5, True, "1", None, 10**400])
def test_bad_alphas(alpha: Any) -> None:
    with pytest.raises(BadSetting, match="from -4 to 4"):
        Lora(Path("x.safetensors"), alpha)


BAD_FILES: dict[str, tuple[Callable[[str, Any], Any], str]] = {
    "half of a layer": (
        lambda name, x: None if name.endswith("down.weight") and "to_q" in name else x,
        "cannot be opened by OpenVINO",
    ),
    "of a wider model": (
        lambda name, x: np.concatenate([x, x], 1) if name.endswith("down.weight") else x,
        "does not fit tiny",
    ),
    "of whole numbers": (lambda name, x: np.asarray(x).astype(np.int8), "kind I8"),
    "not numbers": (lambda name, x: np.full_like(x, np.nan), "not numbers"),
    "only alphas": (lambda name, x: x if name.endswith("alpha") else None, "is no LoRA"),
}


@pytest.mark.parametrize(("change", "says"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_loras_are_refused(
    change: Callable[[str, Any], Any], says: str, file: Path, tiny: Path, tmp_path: Path
) -> None:
    bad = changed(file, tmp_path / "bad.safetensors", change)
    with pytest.raises(BadWeights, match=says) as raised:
        open_engine(tiny, loras=[Lora(file), Lora(bad)])
    assert str(bad) in str(raised.value)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ({"lora_unet": "model", "mid_block": "layers", "lora_te": "model"}, "changes nothing"),
        ({".alpha": ".dora_scale"}, "is a DoRA"),
    ],
)
def test_loras_of_other_kinds_are_refused(
    names: dict[str, str], says: str, file: Path, tiny: Path, tmp_path: Path
) -> None:
    tensors: Tensors = {}
    for name, numbers in load_file(file).items():
        for old, new in names.items():
            name = name.replace(old, new)
        tensors[name] = numbers
    save_file(tensors, tmp_path / "other.safetensors")
    with pytest.raises(BadWeights, match=says):
        open_engine(tiny, loras=[Lora(tmp_path / "other.safetensors")])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not a readable"),
        (b"PK\x03\x04 no LoRA", "not a readable"),
        (struct.pack("<Q", 2**60) + b"{}", "header does not end"),
        (struct.pack("<Q", 2) + b"[]", "not a readable"),
        (struct.pack("<Q", 4) + b"{{{{", "not a readable"),
        (struct.pack("<Q", 2) + b"{}", "is no LoRA"),
        (struct.pack("<Q", 12) + b'{"a": [1,2]}', "not a readable"),
    ],
)
def test_what_is_no_safetensors_file(content: bytes, says: str, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(BadWeights, match=says):
        open_engine(tiny, loras=[Lora(tmp_path / "x.safetensors")])


def test_a_file_cut_short(file: Path, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(file.read_bytes()[:-10])
    with pytest.raises(BadWeights, match="are not all there"):
        open_engine(tiny, loras=[Lora(tmp_path / "x.safetensors")])


def test_files_that_are_not_there_or_named_otherwise(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no LoRA file"):
        open_engine(tiny, loras=[Lora(tmp_path / "none.safetensors")])
    (tmp_path / "x.pt").touch()
    with pytest.raises(BadWeights, match=r"no \.safetensors file"):
        open_engine(tiny, loras=[Lora(tmp_path / "x.pt")])
