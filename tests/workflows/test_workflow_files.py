"""The shipped workflows: both formats hold the same graph, with the presets' values."""

from __future__ import annotations

import io
import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from draw_thumbnails import SCENES, draw
from PIL import Image

from heliochrome.core.presets import BUILDING, CHROMA_GUIDES, DEFAULT_MODEL, PORTRAIT, Preset

FOLDER = Path(__file__).parents[2] / "workflows"
PRESET_OF = {
    "DDColor人物黑白修复": PORTRAIT,
    "DDColor建筑黑白修复": BUILDING,
    "撕裂修复并上色": PORTRAIT,
}
# The Stable Diffusion node of each, and where its defaults are said.
DIFFUSION_OF = {
    "文生图": "HeliochromeTextToImage",
    "图生图": "HeliochromeImageToImage",
    "局部重绘": "HeliochromeInpaint",
    "撕裂修复并上色": "HeliochromeInpaint",
}
NAMES = tuple({**PRESET_OF, **DIFFUSION_OF})
OWN = {"num_inference_steps": 0, "guidance_scale": 0, "scheduler": "auto"}
# The frontend keeps what it does with the seed after each run beside it; it is no input.
AFTER_SEED = ("fixed", "increment", "decrement", "randomize")
NOT_RUN = {"MarkdownNote"}
FRONTEND_ONLY = {"IMAGEUPLOAD"}  # the upload button keeps a value but is no input of the node

each = pytest.mark.parametrize("name", NAMES)
each_colouring = pytest.mark.parametrize("name", PRESET_OF)
each_diffusion = pytest.mark.parametrize("name", DIFFUSION_OF)


def read(path: str) -> dict[str, Any]:
    return json.loads((FOLDER / path).read_text("utf-8"))


def as_api(ui: dict[str, Any]) -> dict[str, Any]:
    """What the frontend sends for a UI graph: linked inputs, and widgets by their position."""
    origins = {link[0]: [str(link[1]), link[2]] for link in ui["links"]}
    graph = {}
    for node in ui["nodes"]:
        if node["type"] in NOT_RUN:
            continue
        values = iter(node["widgets_values"])
        inputs = {}
        for item in node["inputs"]:
            if item["link"] is not None:
                inputs[item["name"]] = origins[item["link"]]
            elif "widget" in item:
                value = next(values)
                if item["type"] not in FRONTEND_ONLY:
                    inputs[item["name"]] = value
                if item["name"] == "seed":
                    assert next(values) in AFTER_SEED
        assert list(values) == [], f"{node['type']} has more values than widgets"
        graph[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
    return graph


def test_only_these_workflows_are_shipped_in_both_formats() -> None:
    for folder in (FOLDER, FOLDER / "api"):
        assert {path.stem for path in folder.glob("*.json")} == set(NAMES)


def test_the_pack_offers_them_as_templates() -> None:
    link = FOLDER.parent / "custom_nodes" / "heliochrome" / "example_workflows"
    assert link.is_symlink()
    assert link.readlink() == Path("../../workflows")
    assert link.resolve() == FOLDER


@each
def test_both_formats_hold_the_same_graph(name: str) -> None:
    api = read(f"api/{name}.json")
    for node in api.values():
        del node["_meta"]
    assert as_api(read(f"{name}.json")) == api


@each_colouring
def test_every_default_is_the_presets(name: str) -> None:
    preset: Preset = PRESET_OF[name]
    nodes = {node["class_type"]: node["inputs"] for node in read(f"api/{name}.json").values()}
    colorize = nodes["HeliochromeColorize"]
    assert colorize["preset"] == preset.id
    settings = {field.name for field in fields(Preset)} & set(colorize)
    assert len(settings) == 8
    for setting in settings:
        assert colorize[setting] == getattr(preset, setting)
    assert colorize["measure_confidence"] is False
    assert preset.chroma_guide in CHROMA_GUIDES
    load = nodes["HeliochromeLoadDDColor"]
    automatic = dict.fromkeys(("backend", "device", "precision"), "auto")
    assert load == {"model": preset.model, **automatic, "preview": False}
    assert preset.model == DEFAULT_MODEL


@each_diffusion
def test_every_model_runs_with_its_own_numbers(name: str) -> None:
    nodes = {node["class_type"]: node["inputs"] for node in read(f"api/{name}.json").values()}
    made = nodes[DIFFUSION_OF[name]]
    assert {field: made[field] for field in OWN} == OWN
    assert made["record_prompt"] is True
    assert {made[field] for field in ("width", "height", "long_side") if field in made} <= {0}
    load = nodes["HeliochromeLoadDiffusion"]
    assert load == {"model": "auto", "device": "CPU", "lora": "none", "lora_alpha": 1.0}


def test_repairing_then_colouring_records_both() -> None:
    nodes = {
        node["class_type"]: node["inputs"] for node in read("api/撕裂修复并上色.json").values()
    }
    (repair, _), (colour, _) = (
        nodes[kind]["provenance"] for kind in ("HeliochromeColorize", "HeliochromeSavePhoto")
    )
    graph = read("api/撕裂修复并上色.json")
    assert graph[repair]["class_type"] == "HeliochromeInpaint"
    assert graph[colour]["class_type"] == "HeliochromeColorize"


@each
def test_links_agree_on_both_ends(name: str) -> None:
    ui = read(f"{name}.json")
    nodes = {node["id"]: node for node in ui["nodes"]}
    for link, origin, out, target, slot, kind in ui["links"]:
        assert link in nodes[origin]["outputs"][out]["links"]
        assert nodes[target]["inputs"][slot]["link"] == link
        assert (
            nodes[origin]["outputs"][out]["type"] == kind == nodes[target]["inputs"][slot]["type"]
        )
    assert ui["last_node_id"] == max(nodes)
    assert ui["last_link_id"] == max(link[0] for link in ui["links"])


@each
def test_nodes_do_not_overlap_and_lie_in_their_group(name: str) -> None:
    ui = read(f"{name}.json")
    boxes = [(*node["pos"], *node["size"], node) for node in ui["nodes"]]
    for i, (x, y, w, h, node) in enumerate(boxes):
        for other_x, other_y, other_w, other_h, other in boxes[:i]:
            apart = x + w <= other_x or other_x + other_w <= x
            apart = apart or y + h <= other_y or other_y + other_h <= y
            assert apart, f"{node['type']} lies on {other['type']}"
        inside = [
            gx <= x and gy <= y and x + w <= gx + gw and y + h <= gy + gh
            for gx, gy, gw, gh in (group["bounding"] for group in ui["groups"])
        ]
        assert sum(inside) == (node["type"] not in NOT_RUN), node["type"]


@each
def test_first_time_users_are_told_what_to_do_in_both_languages(name: str) -> None:
    notes = [
        node["widgets_values"][0]
        for node in read(f"{name}.json")["nodes"]
        if node["type"] == "MarkdownNote"
    ]
    chinese = [note for note in notes if re.search(r"[\u4e00-\u9fff]", note)]
    assert len(notes) == 2
    assert len(chinese) == 1
    for note in notes if name in PRESET_OF else ():
        low, high = PRESET_OF[name].size_range
        assert f"python -m heliochrome models get {PRESET_OF[name].model}" in note
        assert f"{low}–{high}" in note
        honest = (
            "颜色是推测的，不一定是当年的颜色"
            if note in chinese
            else "Colours are guesses, not records"
        )
        assert honest in note
    for note in notes if name in DIFFUSION_OF else ():
        assert "python -m heliochrome sd get" in note
        assert "models/openvino_diffusion" in note
    for note in notes if DIFFUSION_OF.get(name) == "HeliochromeInpaint" else ():
        assert (
            "画上去的内容是编造的" if note in chinese else "What is painted is invented"
        ) in note


@each
def test_result_and_original_are_named_and_stand_side_by_side(name: str) -> None:
    nodes = {node["type"]: node for node in read(f"{name}.json")["nodes"]}
    result = nodes["HeliochromeSavePhoto"]
    assert result["title"] == "结果 · Result"
    original = nodes.get("PreviewImage", result)
    assert ("PreviewImage" in nodes) == ("LoadImage" in nodes)
    if original is not result:
        assert original["title"] == "原图 · Original"
        assert original["size"] == result["size"]
        assert original["pos"][1] == result["pos"][1]
    titles = {
        node["class_type"]: node["_meta"]["title"] for node in read(f"api/{name}.json").values()
    }
    assert all(titles[node["type"]] == node["title"] for node in (original, result))


@each
def test_thumbnail_is_what_the_script_draws(name: str) -> None:
    with Image.open(FOLDER / f"{name}.jpg") as shipped:
        assert shipped.format == "JPEG"
        found = np.asarray(shipped.convert("RGB")).astype(float)
    drawn = io.BytesIO()
    draw(SCENES[name]).save(drawn, "PNG")
    wanted = np.asarray(Image.open(drawn)).astype(float)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).mean() < 4  # levels; JPEG loses about 1
