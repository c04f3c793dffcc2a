"""What the host and its frontend see of the pack: nodes, texts, templates, help, scripts."""

from __future__ import annotations

import io
import json

import pytest
from graphs import ALL_NAMES, WORKFLOWS
from PIL import Image
from running_host import RunningHost, custom_nodes

from heliochrome.core.catalog import load_catalog
from heliochrome.core.presets import PRESETS

pytestmark = pytest.mark.comfyui

NODES = (
    "DDColor-ddcolorize",
    "HeliochromeLoadDDColor",
    "HeliochromeColorize",
    "HeliochromeWarmTonePreview",
    "HeliochromeSavePhoto",
    "HeliochromeLoadDiffusion",
    "HeliochromeTextToImage",
    "HeliochromeImageToImage",
    "HeliochromeInpaint",
)


def inputs_of(info: dict) -> dict[str, list]:
    groups = info["input"]
    return {**groups.get("required", {}), **groups.get("optional", {})}


def test_the_pack_loads_without_a_complaint(host: RunningHost) -> None:
    lines = host.said_at_start.splitlines()
    assert not [line for line in lines if "IMPORT FAILED" in line or "Traceback" in line]
    assert any(str(custom_nodes() / "heliochrome") in line for line in lines)


@pytest.mark.parametrize("node", NODES)
def test_every_node_input_and_output_is_explained_in_both_languages(
    host: RunningHost, node: str
) -> None:
    info = host.json(f"/object_info/{node}")[node]
    translated = host.json("/i18n")["zh"]["nodeDefs"][node]
    help_pages = [
        host.get(f"/extensions/heliochrome/docs/{node}/{language}.md").decode()
        for language in ("en", "zh")
    ]
    assert info["display_name"] != node
    assert info["description"]
    assert set(info["category"].split("/")) <= set(host.json("/i18n")["zh"]["nodeCategories"])
    assert translated["display_name"]
    assert translated["description"]
    assert set(translated["inputs"]) == set(inputs_of(info))
    for name, spec in inputs_of(info).items():
        assert spec[1]["tooltip"]
        assert translated["inputs"][name]["name"]
        assert translated["inputs"][name]["tooltip"]
        assert all(f"`{name}`" in page for page in help_pages), name
    assert len(translated.get("outputs", {})) == len(info["output"])
    for index, name in enumerate(info["output_name"]):
        assert info["output_tooltips"][index]
        assert translated["outputs"][str(index)]["name"]
        assert all(f"`{name}`" in page for page in help_pages), name


def test_drop_in_has_exactly_the_inputs_of_graphs_in_the_wild(host: RunningHost) -> None:
    info = host.json("/object_info/DDColor-ddcolorize")["DDColor-ddcolorize"]
    assert list(info["input"]["required"]) == ["image", "model", "size"]
    assert list(info["input"]["optional"]) == ["preview"]
    assert info["output"] == ["IMAGE", "HELIOCHROME_PROVENANCE"]


def test_widgets_offer_the_catalogue_and_the_presets(host: RunningHost) -> None:
    load = inputs_of(host.json("/object_info/HeliochromeLoadDDColor")["HeliochromeLoadDDColor"])
    assert load["model"][1]["options"] == list(load_catalog().models)
    colorize = inputs_of(host.json("/object_info/HeliochromeColorize")["HeliochromeColorize"])
    told = colorize["preset"][1]["heliochrome_presets"]
    for preset in PRESETS.values():
        assert told[preset.id] == {name: getattr(preset, name) for name in told[preset.id]}
        assert set(told[preset.id]) <= set(colorize)


@pytest.mark.parametrize("name", ALL_NAMES)
def test_templates_are_listed_and_served_with_a_picture(host: RunningHost, name: str) -> None:
    assert sorted(host.json("/api/workflow_templates")["heliochrome"]) == sorted(ALL_NAMES)
    shipped = json.loads((WORKFLOWS / f"{name}.json").read_text("utf-8"))
    assert host.json(f"/api/workflow_templates/heliochrome/{name}.json") == shipped
    with Image.open(
        io.BytesIO(host.get(f"/api/workflow_templates/heliochrome/{name}.jpg"))
    ) as thumb:
        assert thumb.format == "JPEG"


@pytest.mark.parametrize("name", ALL_NAMES)
def test_workflow_nodes_have_the_widgets_of_this_host(host: RunningHost, name: str) -> None:
    """Widget values in a UI file go by position, so the order must be the host's."""
    for node in json.loads((WORKFLOWS / f"{name}.json").read_text("utf-8"))["nodes"]:
        if node["type"] not in NODES:
            continue
        inputs = inputs_of(host.json(f"/object_info/{node['type']}")[node["type"]])
        assert [item["name"] for item in node["inputs"]] == list(inputs)
        assert [item["type"] for item in node["inputs"]] == [spec[0] for spec in inputs.values()]


def test_the_script_and_its_texts_are_served(host: RunningHost) -> None:
    assert "/extensions/heliochrome/js/heliochrome.js" in host.json("/extensions")
    texts = {language: host.json("/i18n")[language]["heliochrome"] for language in ("en", "zh")}
    assert set(texts["en"]["notices"]) == set(texts["zh"]["notices"])
