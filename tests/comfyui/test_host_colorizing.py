"""Both workflows, the drop-in fragment and the single nodes, run by the real host."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from graphs import NAMES, drop_in, workflow
from PIL import Image
from results import provenance_in, saved
from running_host import RunningHost

from heliochrome.core.lab import lightness

pytestmark = pytest.mark.comfyui

# An 8-bit level is at most this many L* units wide (at black); half of it is lost by rounding.
LEVEL_L = 0.55


@pytest.mark.parametrize("name", NAMES)
def test_workflow_colours_the_photo_and_keeps_its_light(
    host: RunningHost, photo: Path, name: str
) -> None:
    graph = workflow(name, host.upload(photo))
    run = host.run(graph)
    (path,) = saved(host, run, "5")
    with Image.open(path) as image:
        result = np.asarray(image)
        texts = dict(image.text)
    grey = np.asarray(Image.open(photo).convert("RGB"))
    assert result.shape == grey.shape
    assert np.ptp(result.astype(int), axis=-1).max() > 10, "no colour"
    difference = np.abs(lightness(result) - lightness(grey))
    assert difference.max() <= LEVEL_L
    assert set(texts) == {"prompt", "XML:com.adobe.xmp"}
    assert str(host.base) not in "".join(texts.values()), "a path of this machine is in the file"
    kept = json.loads(texts["prompt"])
    assert {key: node["inputs"] for key, node in kept.items()} == {
        key: node["inputs"] for key, node in graph.items()
    }
    found = provenance_in(path)
    assert (found.kind, found.model) == ("colorization", "ddcolor_v2")
    asked = graph["3"]["inputs"]
    for setting in ("preset", "size", "strength", "saturation", "chroma_guide"):
        assert found.parameters[setting] == asked[setting]
    assert run.of("progress_state") or run.of("progress"), "no progress was shown"
    assert run.of("heliochrome.notice") == []


def test_drop_in_fragment_runs_as_it_stands(host: RunningHost, photo: Path) -> None:
    run = host.run(drop_in(host.upload(photo)))
    (path,) = saved(host, run, "3")
    assert provenance_in(path).parameters["size"] == 960
    assert "preview" not in path.name


def test_saving_again_never_overwrites(host: RunningHost, photo: Path) -> None:
    name = host.upload(photo)
    first = saved(host, host.run(drop_in(name, size=256)), "3")
    second = saved(host, host.run(drop_in(name, size=288)), "3")
    assert first != second
    assert all(path.exists() for path in first + second)


def test_batch_keeps_transparency_and_gives_confidence(host: RunningHost, tmp_path: Path) -> None:
    """Two frames with alpha through the full node; its confidence is saved as a picture."""
    rows, columns = np.mgrid[0:90, 0:70]
    light = ((rows + columns) % 256).astype(np.uint8)
    pixels = np.dstack([light, light, light, (columns * 3).astype(np.uint8)])
    path = tmp_path / "alpha.png"
    Image.fromarray(pixels).save(path)
    graph = workflow(NAMES[0], host.upload(path), HeliochromeColorize={"measure_confidence": True})
    graph["6"] = {
        "class_type": "JoinImageWithAlpha",
        "inputs": {"image": ["1", 0], "alpha": ["1", 1]},
    }
    graph["7"] = {"class_type": "RepeatImageBatch", "inputs": {"image": ["6", 0], "amount": 2}}
    graph["3"]["inputs"]["image"] = ["7", 0]
    graph["8"] = {"class_type": "MaskToImage", "inputs": {"mask": ["3", 1]}}
    graph["9"] = {
        "class_type": "SaveImage",
        "inputs": {"images": ["8", 0], "filename_prefix": "confidence"},
    }
    run = host.run(graph)
    results = saved(host, run, "5")
    assert len(results) == 2
    for result in results:
        with Image.open(result) as image:
            assert np.array_equal(np.asarray(image)[..., 3], pixels[..., 3])
    confidence = np.asarray(Image.open(saved(host, run, "9")[0]))
    assert confidence.shape[:2] == (90, 70)
    assert confidence.max() > 0


@pytest.mark.parametrize("way", ["drop-in", "loader", "node"])
def test_preview_says_so_everywhere(host: RunningHost, photo: Path, way: str) -> None:
    name = host.upload(photo)
    if way == "drop-in":
        graph, node = drop_in(name, preview=True, model="ddcolor_paper"), "3"
    elif way == "loader":
        missing = {"model": "ddcolor_paper", "preview": True}
        graph, node = workflow(NAMES[0], name, HeliochromeLoadDDColor=missing), "5"
    else:
        graph, node = drop_in(name), "3"
        graph["2"] = {"class_type": "HeliochromeWarmTonePreview", "inputs": {"image": ["1", 0]}}
    before = host.log.stat().st_size
    run = host.run(graph)
    (path,) = saved(host, run, node)
    assert ".preview" in path.name
    assert provenance_in(path).kind == "preview"
    (notice,) = run.of("heliochrome.notice")
    assert notice["code"] == "preview"
    ((_, text),) = run.texts
    assert text == notice["text"]
    for said in (text, host.log.read_text()[before:]):
        assert "preview, not colourisation" in said
