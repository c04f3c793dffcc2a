"""The engine against diffusers' own pipelines: same numbers, same noise, stored pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from heliochrome.diffusion import Engine, GenerationRequest, Lora, open_engine
from tiny_diffusion import build, lora

DATA = Path(__file__).parent.parent / "data" / "diffusion"
CASES: dict[str, dict[str, Any]] = {
    case["name"]: case for case in json.loads((DATA / "goldens.json").read_text())["cases"]
}
TOLERANCE = 1e-2  # of [0, 1]; 0.004 of it is OpenVINO GenAI's rounding down to 8 bits


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    """kind -> its opened engine."""
    kinds = {case["kind"] for case in CASES.values()}
    folder = tmp_path_factory.mktemp("goldens")
    opened = {kind: open_engine(build(folder / kind, kind=kind)) for kind in kinds}
    yield opened
    for engine in opened.values():
        engine.close()


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    """Every array of goldens.npz as float32 in [0, 1]."""
    with np.load(DATA / "goldens.npz") as stored:
        return {
            name: (array / np.iinfo(array.dtype).max).astype(np.float32)
            for name, array in stored.items()
        }


def difference(engine: Engine, case: dict[str, Any], arrays: Any, **changed: Any) -> float:
    """Largest difference of the engine's picture from the stored one."""
    pictures = {name: arrays[name] for name in ("image", "mask") if name in case}
    request = GenerationRequest(**{**case["request"], **pictures, **changed})
    (made,) = engine.generate(request).images
    assert made.shape == arrays[case["name"]].shape
    return float(np.abs(made - arrays[case["name"]]).max())


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "lora" not in case])
def test_the_picture_is_that_of_diffusers(engines, arrays, name):
    case = CASES[name]
    assert difference(engines[case["kind"]], case, arrays) < TOLERANCE


@pytest.mark.parametrize(
    ("change", "fits"), [({}, True), ({"alpha": 2.0}, False), ({"strength": 0.5}, False)]
)
def test_a_lora_counts_as_if_it_were_worked_into_the_weights(arrays, tmp_path, change, fits):
    case = CASES["lora"]
    given = {**case["lora"], **change}
    file = lora(tmp_path / "lora.safetensors", alpha=given["alpha"])
    engine = open_engine(build(tmp_path / "model"), loras=[Lora(file, given["strength"])])
    assert (difference(engine, case, arrays) < TOLERANCE) == fits
    engine.close()


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("pndm text 1", {"prompt": "the castle"}),
        ("pndm text 1", {"negative_prompt": ""}),
        ("pndm text 1", {"guidance_scale": 5.0}),
        ("pndm text 1", {"num_inference_steps": 13}),
        ("pndm text 1", {"seed": 2}),
        ("pndm text 1", {"scheduler": "ddim"}),
        ("ddim text 1", {"scheduler": "pndm"}),
        ("pndm image 1", {"strength": 0.5}),
        ("pndm image 1", {"image": np.full((64, 64, 3), 0.5, np.float32)}),
        ("pndm inpaint 1", {"mask": np.ones((64, 64), np.float32)}),
        ("ddim inpaint model 1", {"mask": np.ones((64, 64), np.float32)}),
        ("sdxl text 2", {"negative_prompt": "blurry"}),
        ("lcm", {"guidance_scale": 4.0}),
    ],
)
def test_a_setting_taken_wrongly_would_be_seen(engines, arrays, name, changed):
    case = CASES[name]
    assert difference(engines[case["kind"]], case, arrays, **changed) > TOLERANCE
