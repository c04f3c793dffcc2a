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
PRESET_OF = {"DDColor人物黑白修复": PORTRAIT, "DDColor建筑黑白修复": BUILDING}
NOT_RUN = {"MarkdownNote"}
FRONTEND_ONLY = {"IMAGEUPLOAD"}  # the upload button keeps a value but is no input of the node

each = pytest.mark.parametrize("name", PRESET_OF)


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
        assert list(values) == [], f"{node['type']} has more values than widgets"
        graph[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
    return graph


def test_only_these_workflows_are_shipped_in_both_formats() -> None:
    for folder in (FOLDER, FOLDER / "api"):
        assert {path.stem for path in folder.glob("*.json")} == set(PRESET_OF)


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


@each
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
    low, high = PRESET_OF[name].size_range
    for note in notes:
        assert f"python -m heliochrome models get {PRESET_OF[name].model}" in note
        assert f"{low}–{high}" in note
    assert len(chinese) == 1
    assert "颜色是推测的，不一定是当年的颜色" in chinese[0]
    assert any("Colours are guesses, not records" in note for note in notes)


@each
def test_result_and_original_are_named_and_stand_side_by_side(name: str) -> None:
    nodes = {node["type"]: node for node in read(f"{name}.json")["nodes"]}
    original, result = nodes["PreviewImage"], nodes["HeliochromeSavePhoto"]
    assert original["title"] == "原图 · Original"
    assert result["title"] == "结果 · Result"
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
