"""The real ComfyUI behind the door: a program and a browser colour a photograph through it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from door import Door, basic, running_door
from login_server import PASSWORD
from PIL import Image

from driving import drive

TESTS = Path(__file__).parents[1]
sys.path.append(str(TESTS / "comfyui"))  # the tests' own module for running a host

pytestmark = pytest.mark.comfyui

FOLDERS = [Path(name) for name in os.environ.get("COMFYUI_DIR", "").split(os.pathsep) if name]
WITHOUT = pytest.param(
    None, marks=pytest.mark.skip(reason="COMFYUI_DIR names no ComfyUI folder"), id="no-host"
)
WORKFLOWS = TESTS.parent / "workflows"
PORTRAIT = "DDColor人物黑白修复"
RUN_S = 120


@pytest.fixture(
    scope="module",
    params=[pytest.param(folder.resolve(), id=folder.name) for folder in FOLDERS] or [WITHOUT],
)
def door(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Door]:
    from running_host import RunningHost

    import micro

    base = tmp_path_factory.mktemp("comfyui")
    micro.save(base / "models" / "ddcolor" / "ddcolor_v2.safetensors")
    with (
        RunningHost(request.param, base) as host,
        running_door(tmp_path_factory.mktemp("gateway"), host.url) as door,
    ):
        yield door


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "grandmother.png"
    Image.linear_gradient("L").resize((301, 200)).save(path)
    return path


async def colour(door: Door, name: str, photo: Path) -> tuple[str, list[str], dict[str, Any]]:
    """The run's id, the events about it, and the file of the result."""
    graph = json.loads((WORKFLOWS / "api" / f"{PORTRAIT}.json").read_text())
    address = f"{door.address}/comfyui"
    async with (
        aiohttp.ClientSession(headers={"Authorization": basic(name)}) as session,
        session.ws_connect(f"{address}/ws?clientId=test-{name}", max_msg_size=0) as socket,
    ):
        form = aiohttp.FormData()
        form.add_field("image", photo.read_bytes(), filename=photo.name)
        async with session.post(f"{address}/api/upload/image", data=form) as answer:
            taken = await answer.json()
        loader = next(node for node in graph.values() if node["class_type"] == "LoadImage")
        loader["inputs"]["image"] = f"{taken['subfolder']}/{taken['name']}"
        body = {"prompt": graph, "client_id": f"test-{name}"}
        async with session.post(f"{address}/api/prompt", json=body) as answer:
            found = await answer.json()
            assert answer.status == 200, found
        events, run_id = [], found["prompt_id"]
        while "execution_success" not in events:
            event = json.loads((await socket.receive(RUN_S)).data)
            events.append(event["type"])
            assert event["type"] != "execution_error", event
            if event["type"] == "executed" and event["data"]["output"]["images"][0]["type"] == (
                "output"
            ):
                saved = event["data"]["output"]["images"][0]
    return run_id, events, saved


def test_a_program_colours_a_photograph_and_nobody_else_sees_it(door: Door, photo: Path):
    run_id, events, saved = asyncio.run(asyncio.wait_for(colour(door, "ben", photo), RUN_S))
    assert "progress" in events or "progress_state" in events
    assert saved["subfolder"] == "user-ben"
    path = "/comfyui/api/view?filename={filename}&subfolder={subfolder}&type=output".format(**saved)
    known = {"Authorization": basic("ben")}
    done = subprocess.run(
        ["curl", "-sf", "-H", f"Authorization: {known['Authorization']}", door.address + path],
        capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith(b"\x89PNG")
    history = door.json("ben", f"/comfyui/history/{run_id}")[run_id]
    previews = [
        image for output in history["outputs"].values() for image in output.get("images", [])
        if image["type"] == "temp"
    ]  # fmt: skip
    for image in [saved, *previews]:
        query = "filename={filename}&subfolder={subfolder}&type={type}".format(**image)
        assert door.ask("eve", "GET", f"/comfyui/view?{query}").status == 404
    assert door.json("eve", "/comfyui/history") == {}
    assert door.json("eve", f"/comfyui/api/history/{run_id}") == {}


def test_the_record_tells_of_the_run(door: Door, photo: Path):
    run_id, _, _ = asyncio.run(asyncio.wait_for(colour(door, "eve", photo), RUN_S))
    for _ in range(60):
        lines = [line for line in door.record() if line.get("job") == run_id]
        if len(lines) == 2:
            break
        asyncio.run(asyncio.sleep(0.2))
    assert [line["outcome"] for line in lines] == ["queued", "success"]
    assert lines[1]["duration_s"] >= 0
    assert lines[1]["models"] == ["ddcolor_v2"]


def test_settings_and_saved_workflows_are_for_each_user(door: Door):
    one = "/comfyui/api/settings/Comfy.Locale"
    assert door.ask("ben", "POST", one, '"zh"').status == 200
    assert door.json("ben", one) == "zh"
    assert door.json("eve", one) != "zh"
    file = "/comfyui/api/userdata/workflows%2Fmine.json"
    assert door.ask("ben", "POST", file, b'{"a": 1}').status == 200
    assert door.json("ben", file) == {"a": 1}
    assert door.json("ben", "/comfyui/api/userdata?dir=workflows&recurse=true") == ["mine.json"]
    assert door.ask("eve", "GET", file).status == 404
    moved = file.replace("mine", "moved")
    assert door.ask("ben", "POST", f"{file}/move/workflows%2Fmoved.json").status == 200
    assert door.json("ben", moved) == {"a": 1}


@pytest.mark.browser
def test_a_browser_colours_a_photograph_and_asks_nobody_else(
    door: Door, photo: Path, tmp_path: Path
):
    order = {
        "url": door.address + "/", "name": "ben", "password": PASSWORD, "photo": str(photo),
        "workflowFile": str(WORKFLOWS / f"{PORTRAIT}.json"), "shot": str(tmp_path / "shot.png"),
    }  # fmt: skip
    found = drive("through_the_door.mjs", order, RUN_S)
    assert found["address"] == "/comfyui/"
    assert found["result"]["outcome"] == "execution_success"
    assert found["picture"][:2] == [301, 200]
    assert "CheckpointLoaderSimple" not in found["nodes"]
    assert "HeliochromeColorize" in found["nodes"]
    # The policy lets the frontend's own things work, and stops its calls to its maker.
    assert all("api.comfy.org" in text for text in found["violations"])
    assert all(url.startswith("https://api.comfy.org/") for url in found["elsewhere"])
    assert not [line for line in found["refused"] if line.startswith("5")]
    assert not [line for line in found["refused"] if line.startswith("403")]
