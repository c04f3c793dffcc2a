"""The Stable Diffusion workflows and nodes, run by the real host on a tiny pipeline."""

from __future__ import annotations

import hashlib
import io
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import MEND, PICTURE, REPAINT, TEXT, workflow
from PIL import Image
from results import pixels_in, provenance_in, saved
from running_host import Graph, Refused, RunningHost

import tiny_diffusion
from heliochrome.core.extent import Extent

pytestmark = pytest.mark.comfyui

SAVE = {TEXT: "3", PICTURE: "5", REPAINT: "5", MEND: "7"}
MAKER = {
    TEXT: "HeliochromeTextToImage",
    PICTURE: "HeliochromeImageToImage",
    REPAINT: "HeliochromeInpaint",
    MEND: "HeliochromeInpaint",
}
COMPOSITE = "compositeWithTrainedAlgorithmicMedia"
SOURCES = {TEXT: "trainedAlgorithmicMedia", PICTURE: COMPOSITE, REPAINT: COMPOSITE, MEND: COMPOSITE}
MADE_AT_64 = (64, 64)


@pytest.fixture(autouse=True)
def _runtime(host: RunningHost) -> None:
    if not host.has_diffusion:
        pytest.skip(f"{host.folder}'s Python has no openvino-genai and openvino-tokenizers")


def graph_of(name: str, picture: str, /, **inputs: Any) -> Graph:
    """A shipped workflow with few steps; inputs: of its Stable Diffusion node."""
    return workflow(name, picture, **{MAKER[name]: {"num_inference_steps": 4, **inputs}})


def models(host: RunningHost) -> Path:
    return host.base / "models" / "openvino_diffusion"


@pytest.fixture(scope="module")
def torn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grey photograph, 301 x 200, with two torn places, which are its transparency."""
    rows, columns = np.mgrid[0:200, 0:301]
    light = (128 + 60 * np.sin(columns / 23) * np.cos(rows / 17)).clip(0, 255).astype(np.uint8)
    mask = np.zeros((200, 301), bool)
    mask[20:50, 30:60] = mask[150:190, 240:290] = True
    light[mask] = 250
    pixels = np.dstack([light, light, light, np.where(mask, 0, 255).astype(np.uint8)])
    path = tmp_path_factory.mktemp("torn") / "torn.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("name", SAVE)
def test_workflow_runs_and_its_file_says_what_was_made(
    host: RunningHost, torn: Path, name: str
) -> None:
    graph = graph_of(name, host.upload(torn))
    run = host.run(graph)
    (path,) = saved(host, run, SAVE[name])
    found = provenance_in(path)
    assert found.source_type.endswith(f"/{SOURCES[name]}")
    made = found.earlier[0] if name == MEND else found
    asked = next(node["inputs"] for node in graph.values() if node["class_type"] == MAKER[name])
    assert (made.model, len(made.model_sha256 or "")) == ("tiny", 64)
    assert made.parameters["seed"] == asked["seed"]
    assert made.parameters["num_inference_steps"] == 4
    assert made.parameters["prompt"] == asked["prompt"]
    assert made.parameters["scheduler"] == "pndm"
    assert str(host.base) not in path.read_bytes().decode("latin-1")
    assert run.of("progress"), "no progress was shown"


def test_previews_of_the_picture_arrive_while_it_is_made(host: RunningHost) -> None:
    run = host.run(graph_of(TEXT, "", seed=1, num_inference_steps=30))
    assert run.failure is None
    # The runtime drops reports that nobody had time to hear, and these steps take a millisecond.
    assert len(run.previews) >= 3
    shown = [np.asarray(Image.open(io.BytesIO(preview))) for preview in run.previews]
    assert all(picture.shape[2] == 3 and min(picture.shape[:2]) >= 64 for picture in shown)
    assert (shown[0] != shown[-1]).any()
    done = [event["value"] / event["max"] for event in run.of("progress")]
    assert done == sorted(done) and done[-1] == 1


def test_repainting_leaves_every_other_pixel_as_it_was(host: RunningHost, torn: Path) -> None:
    run = host.run(graph_of(REPAINT, host.upload(torn), feather=0))
    (path,) = saved(host, run, SAVE[REPAINT])
    before, after = pixels_in(torn), pixels_in(path)
    whole = before[..., 3] == 255
    assert after.shape == before[..., :3].shape
    assert np.array_equal(after[whole], before[whole][:, :3])
    assert (after[~whole] != before[~whole][:, :3]).any(axis=-1).mean() > 0.9
    assert np.ptp(after.astype(int), axis=-1).max() <= 1, "a grey photograph got colour"
    assert provenance_in(path).kind == "inpainting"
    told = provenance_in(path).parameters
    assert (told["regions"], told["feather"]) == (2, 0)
    assert (told["width"], told["height"]) == (before.shape[1], before.shape[0])


def test_repairing_then_colouring_tells_both(host: RunningHost, torn: Path) -> None:
    run = host.run(graph_of(MEND, host.upload(torn)))
    (path,) = saved(host, run, SAVE[MEND])
    found = provenance_in(path)
    assert [record.kind for record in (*found.earlier, found)] == ["inpainting", "colorization"]
    assert [record.model for record in (*found.earlier, found)] == ["tiny", "ddcolor_v2"]
    assert np.ptp(pixels_in(path).astype(int), axis=-1).max() > 10, "no colour"


def test_nothing_masked_leaves_the_photograph_and_says_so(
    host: RunningHost, photo: Path, tmp_path: Path
) -> None:
    colour = tmp_path / "whole.png"  # a host may itself change the levels of a grey file
    Image.open(photo).convert("RGB").save(colour)
    run = host.run(graph_of(REPAINT, host.upload(colour)))
    (path,) = saved(host, run, SAVE[REPAINT])
    assert [notice["code"] for notice in run.of("heliochrome.notice")] == [
        "diffusion-nothing-masked"
    ]
    assert np.array_equal(pixels_in(path), pixels_in(colour))
    with Image.open(path) as image:
        assert set(image.info) == {"prompt"}, "a record of something that was not done"


def test_several_pictures_have_seeds_of_their_own(host: RunningHost) -> None:
    many = saved(host, host.run(graph_of(TEXT, "", seed=7, num_images_per_prompt=3)), SAVE[TEXT])
    lone = saved(host, host.run(graph_of(TEXT, "", seed=9)), SAVE[TEXT])
    assert len(many) == 3
    assert provenance_in(many[0]).parameters["seeds"] == "7 8 9"
    assert np.array_equal(pixels_in(many[2]), pixels_in(lone[0]))
    assert not np.array_equal(pixels_in(many[0]), pixels_in(many[1]))


def test_image_to_image_keeps_the_shape_and_takes_batches(host: RunningHost, photo: Path) -> None:
    graph = graph_of(PICTURE, host.upload(photo), long_side=128, seed=2**32 - 1)
    graph["9"] = {"class_type": "RepeatImageBatch", "inputs": {"image": ["1", 0], "amount": 2}}
    graph["3"]["inputs"]["image"] = ["9", 0]
    run = host.run(graph)
    results = saved(host, run, SAVE[PICTURE])
    assert [pixels_in(path).shape for path in results] == [(64, 128, 3)] * 2
    assert provenance_in(results[0]).parameters["seeds"] == "4294967295 0"
    (notice,) = run.of("heliochrome.notice")
    assert notice["code"] == "diffusion-image-resized"


def test_the_seed_comes_out_as_a_number(host: RunningHost, torn: Path) -> None:
    graph = graph_of(TEXT, "", seed=42)
    graph["8"] = {"class_type": "PreviewAny", "inputs": {"source": ["2", 2]}}
    run = host.run(graph)
    assert run.failure is None
    assert run.outputs["8"]["text"] == ["42"]


@pytest.mark.parametrize("keep", [True, False])
def test_prompts_are_recorded_unless_switched_off(host: RunningHost, keep: bool) -> None:
    words = " ".join(f"secret{number}" for number in range(120))  # more than the model reads
    run = host.run(graph_of(TEXT, "", prompt=words, record_prompt=keep, seed=3 + keep))
    (path,) = saved(host, run, SAVE[TEXT])
    with Image.open(path) as image:
        record = image.info["XML:com.adobe.xmp"]
    assert ("secret" in record) is keep
    (notice,) = run.of("heliochrome.notice")
    assert notice["code"] == "diffusion-prompt-shortened"


def test_cancel_stops_between_steps_and_the_next_run_is_as_if_nothing_was(
    host: RunningHost,
) -> None:
    (before,) = saved(host, host.run(graph_of(TEXT, "", seed=11)), SAVE[TEXT])
    long = graph_of(TEXT, "", seed=12, num_inference_steps=250, num_images_per_prompt=16)
    long["3"]["inputs"]["filename_prefix"] = "never"
    run = host.run(long, watch=lambda event: "/interrupt" if event == "progress" else None)
    assert run.of("execution_interrupted")
    assert list((host.base / "output").glob("never*")) == []
    again = graph_of(TEXT, "", seed=11)
    again["3"]["inputs"]["filename_prefix"] = "again"
    (after,) = saved(host, host.run(again), SAVE[TEXT])
    assert np.array_equal(pixels_in(before), pixels_in(after))


@pytest.mark.parametrize(
    ("name", "inputs", "said"),
    [
        (TEXT, {"width": 100}, "64"),
        (TEXT, {"prompt": "x" * 5000}, "prompt may have at most"),
        (TEXT, {"num_inference_steps": 1, "scheduler": "lcm", "prompt": "a\0b"}, "NUL"),
        (PICTURE, {"strength": 0.05, "num_inference_steps": 2}, "strength"),
    ],
)
def test_what_the_model_cannot_do_is_one_clear_message_and_the_next_run_works(
    host: RunningHost, photo: Path, name: str, inputs: dict[str, Any], said: str
) -> None:
    picture = host.upload(photo)
    run = host.run(graph_of(name, picture, **inputs))
    assert run.failure is not None
    assert said in run.failure and run.failure.strip().count("\n") == 0
    (path,) = saved(host, host.run(graph_of(TEXT, "", seed=5)), SAVE[TEXT])
    assert pixels_in(path).shape[:2] == MADE_AT_64


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"scheduler": "lms"}, "scheduler must be one of auto, pndm"),
        ({"num_inference_steps": 1000}, "bigger than max of 250"),
        ({"guidance_scale": -1}, "smaller than min of 0"),
        ({"seed": 2**32}, "bigger than max of 4294967295"),
        ({"num_images_per_prompt": 0}, "smaller than min of 1"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(
    host: RunningHost, inputs: dict[str, Any], said: str
) -> None:
    with pytest.raises(Refused) as refused:
        host.run(graph_of(TEXT, "", **inputs))
    (error,) = refused.value.answer["node_errors"]["2"]["errors"]
    assert said in f"{error['message']} {error['details']}"


def test_a_mask_of_another_size_is_refused(host: RunningHost, photo: Path) -> None:
    graph = graph_of(REPAINT, host.upload(photo))
    mask = {"value": 1.0, "width": 30, "height": 20}
    graph["9"] = {"class_type": "SolidMask", "inputs": mask}
    graph["3"]["inputs"]["mask"] = ["9", 0]
    failure = host.run(graph).failure
    assert failure is not None
    assert "expected 301x200" in failure and "30x20" in failure


def test_a_missing_model_is_named_with_the_command_that_gets_one(host: RunningHost) -> None:
    graph = graph_of(TEXT, "")
    graph["1"]["inputs"]["model"] = "sd15"
    failure = host.run(graph).failure
    assert failure is not None
    english, chinese = failure.strip().split("\n")
    for line, missing in (
        (english, "The model sd15 is not in"),
        (chinese, "没有找到模型文件夹 sd15"),
    ):
        assert missing in line
        assert "`python -m heliochrome sd get ADDRESS`" in line
        assert str(models(host)) in line


def test_a_folder_that_is_no_model_is_named(host: RunningHost) -> None:
    broken = tiny_diffusion.build(models(host) / "broken")
    (broken / "unet" / "openvino_model.bin").unlink()
    graph = graph_of(TEXT, "")
    graph["1"]["inputs"]["model"] = "broken"
    try:
        failure = host.run(graph).failure
    finally:
        remove(broken)
    assert failure is not None
    assert "broken" in failure and "unet/openvino_model.bin" in failure


@pytest.fixture
def other(host: RunningHost) -> Iterator[Path]:
    """A second pipeline, with other weights."""
    folder = tiny_diffusion.build(models(host) / "other", seed=5)
    yield folder
    remove(folder)


def remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


def log_since(host: RunningHost, start: int) -> list[str]:
    log = host.log.read_bytes()[start:].decode()
    return re.findall(r"model ((?:opened|closed): (?:tiny|other)\b)", log)


def test_one_model_stays_open_and_the_host_can_have_its_memory_back(
    host: RunningHost, other: Path
) -> None:
    host.post("/free", {"unload_models": True, "free_memory": True})
    start = host.log.stat().st_size
    pictures = []
    for seed, model in ((21, "tiny"), (22, "tiny"), (21, "other")):
        graph = graph_of(TEXT, "", seed=seed)
        graph["1"]["inputs"]["model"] = model
        pictures += saved(host, host.run(graph), SAVE[TEXT])
    # What was open before is closed at some moment between.
    told = [line for line in log_since(host, start) if line != "closed: tiny"]
    assert told == ["opened: tiny", "opened: other"]
    assert not np.array_equal(pixels_in(pictures[0]), pixels_in(pictures[2]))
    start = host.log.stat().st_size
    host.post("/free", {"unload_models": True})
    deadline = time.monotonic() + 20
    while not log_since(host, start) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert log_since(host, start) == ["closed: other"]
    graph = graph_of(TEXT, "", seed=21)
    graph["1"]["inputs"]["model"] = "tiny"
    graph["3"]["inputs"]["filename_prefix"] = "reopened"
    (again,) = saved(host, host.run(graph), SAVE[TEXT])
    assert np.array_equal(pixels_in(pictures[0]), pixels_in(again))
    assert "memory leak" not in host.log.read_bytes()[start:].decode()


def test_a_model_whose_files_are_replaced_is_read_again(host: RunningHost, other: Path) -> None:
    graph = graph_of(TEXT, "", seed=30)
    graph["1"]["inputs"]["model"] = "other"
    (before,) = saved(host, host.run(graph), SAVE[TEXT])
    tiny_diffusion.build(other, seed=6)
    (after,) = saved(host, host.run(graph), SAVE[TEXT])
    assert not np.array_equal(pixels_in(before), pixels_in(after))
    shas = {provenance_in(path).model_sha256 for path in (before, after)}
    assert len(shas) == 2


def test_a_tear_larger_than_the_model_sees_is_told(host: RunningHost, tmp_path: Path) -> None:
    pixels = np.full((400, 600, 4), 128, np.uint8)
    pixels[..., 3] = 255
    pixels[100:300, 100:500, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "large.png")
    run = host.run(graph_of(REPAINT, host.upload(tmp_path / "large.png")))
    (path,) = saved(host, run, SAVE[REPAINT])
    (notice,) = run.of("heliochrome.notice")
    assert notice["code"] == "diffusion-region-coarse"
    assert notice["text"] in provenance_in(path).notices
    assert Extent.of(pixels_in(path).shape) == Extent(600, 400)


def with_lora(name: str, alpha: float) -> Graph:
    graph = graph_of(TEXT, "", seed=50)
    graph["1"]["inputs"] |= {"model": "tiny", "lora": name, "lora_alpha": alpha}
    return graph


def test_a_lora_changes_the_picture_and_is_recorded(host: RunningHost) -> None:
    folder = host.base / "models" / "loras"
    folder.mkdir(exist_ok=True)
    file = tiny_diffusion.lora(folder / "style.safetensors", gain=0.3)
    (folder / "broken.safetensors").write_bytes(b"<html>404</html>")
    try:
        (plain,) = saved(host, host.run(with_lora("none", 1.0)), SAVE[TEXT])
        (strong,) = saved(host, host.run(with_lora(file.name, 1.0)), SAVE[TEXT])
        (weak,) = saved(host, host.run(with_lora(file.name, 0.25)), SAVE[TEXT])
        refused = host.run(with_lora("broken.safetensors", 1.0)).failure
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
    finally:
        for path in folder.iterdir():
            path.unlink()
    pictures = [pixels_in(path).astype(int) for path in (plain, weak, strong)]
    near, far = (np.abs(picture - pictures[0]).mean() for picture in pictures[1:])
    assert 0 < near < far
    told = provenance_in(weak).parameters
    assert (told["lora"], told["lora_alpha"]) == ("style.safetensors", 0.25)
    assert told["lora_sha256"] == digest
    assert "lora" not in provenance_in(plain).parameters
    assert refused is not None and "broken.safetensors" in refused


def test_the_widgets_are_what_the_engine_takes(host: RunningHost) -> None:
    info = host.json("/object_info/HeliochromeLoadDiffusion")["HeliochromeLoadDiffusion"]
    required = info["input"]["required"]
    assert required["model"][1]["options"] == ["auto", "tiny"]
    assert required["device"][1]["options"] == ["CPU", "GPU", "NPU"]
    assert json.dumps(info["output"]) == '["HELIOCHROME_DIFFUSION"]'
