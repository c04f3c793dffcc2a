"""A person with a browser: opens a template, gives a photograph, presses Run, sees the picture.

Screenshots go to HELIOCHROME_SCREENSHOTS, else to pytest's temporary folder.
"""

from __future__ import annotations

import json
import os
import shutil
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from graphs import ALL_NAMES, NAMES, WORKFLOWS
from running_host import RunningHost

from driving import drive
from heliochrome.core.presets import BUILDING, PORTRAIT

pytestmark = [pytest.mark.comfyui, pytest.mark.browser]

VISIT_LIMIT_S = 300
PACK = Path(__file__).parents[2] / "custom_nodes" / "heliochrome"


@pytest.fixture(scope="session")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    named = os.environ.get("HELIOCHROME_SCREENSHOTS")
    return Path(named) if named else tmp_path_factory.mktemp("screenshots")


def visit(
    host: RunningHost,
    shots: Path,
    photo: Path,
    step: str,
    language: str,
    dropped: str = NAMES[1],
) -> dict[str, Any]:
    set_language(host, language)
    folder = shots / host.folder.name
    folder.mkdir(parents=True, exist_ok=True)
    # A name of its own for each visit, or the host would answer from its cache.
    own_photo = folder / f"{step}_{language}_{photo.name}"
    shutil.copyfile(photo, own_photo)
    order = {
        "url": host.url,
        "template": NAMES[0],
        "photo": str(own_photo),
        "workflowFile": str(WORKFLOWS / f"{dropped}.json"),
        "shots": str(folder),
        "language": language,
        "step": step,
    }
    found = drive("drive.mjs", order, VISIT_LIMIT_S)
    assert found["problems"] == []
    return found


def set_language(host: RunningHost, language: str) -> None:
    request = urllib.request.Request(
        f"{host.url}/settings",
        data=json.dumps({"Comfy.Locale": language, "Comfy.TutorialCompleted": True}).encode(),
        headers={"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request).close()


@pytest.mark.parametrize("language", ["zh", "en"])
def test_template_photo_run_picture(
    host: RunningHost, shots: Path, photo: Path, language: str
) -> None:
    found = visit(host, shots, photo, "template", language)["ran"]
    width, height, source = found["picture"]
    assert (width, height) == (301, 200)
    assert "Heliochrome_" in source
    assert found["colorize"]["size"] == PORTRAIT.size
    assert found["tooNarrow"] == []
    ours = {
        "zh": ["加载 DDColor 模型", "照片上色"],
        "en": ["Load DDColor Model", "Colourise Photo"],
    }
    assert {*ours[language], "结果 · Result", "原图 · Original"} <= set(found["titles"])


def wiring(graph: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The links by the names of their inputs: the frontend puts sockets before widgets."""
    nodes = {node["id"]: node for node in graph["nodes"]}
    return [
        (link, origin, out, target, nodes[target]["inputs"][slot]["name"], kind)
        for link, origin, out, target, slot, kind in graph["links"]
    ]


@pytest.mark.parametrize("name", ALL_NAMES[1:])
def test_dropped_workflow_file_is_the_same_graph(
    host: RunningHost, shots: Path, photo: Path, name: str
) -> None:
    found = visit(host, shots, photo, "drop", "zh", name)["dropped"]
    assert found["tooNarrow"] == []
    shipped = json.loads((WORKFLOWS / f"{name}.json").read_text("utf-8"))
    assert wiring(found["serialized"]) == wiring(shipped)
    values = {
        node["id"]: node["widgets_values"]
        for node in found["serialized"]["nodes"]
        if "widgets_values" in node
    }
    for node in shipped["nodes"]:
        assert values.get(node["id"], []) == node["widgets_values"], node["type"]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_preview_switch_shows_toast_and_text_on_the_node(
    host: RunningHost, shots: Path, photo: Path, language: str
) -> None:
    found = visit(host, shots, photo, "preview", language)
    texts = json.loads((PACK / "locales" / language / "main.json").read_text("utf-8"))
    wanted = texts["heliochrome"]["notices"]["preview"]
    assert any(wanted in toast for toast in found["toasts"]), found["toasts"]
    preset = {name: found["preset"]["colorize"][name] for name in ("size", "strength")}
    assert preset == {"size": BUILDING.size, "strength": BUILDING.strength}
