"""Workflows through the door: known nodes, one's own files, bounded, and written anew."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from door import Door, running_door
from toy_comfyui import Toy, running_toy

from heliochrome_gateway.graphs import NODES

REPOSITORY = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((REPOSITORY / "workflows" / "api").glob("*.json"))


@pytest.fixture(scope="module")
def toy() -> Iterator[Toy]:
    with running_toy() as toy:
        yield toy


@pytest.fixture(scope="module")
def door(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("gateway")
    with running_door(folder, toy.address, extra_nodes="ImageInvert") as door:
        yield door


def load(name: str) -> dict[str, Any]:
    return {"1": {"class_type": "LoadImage", "inputs": {"image": name}}}


def save(name: object) -> dict[str, Any]:
    inputs = {"images": ["1", 0], "filename_prefix": name}
    return {**load("example.png"), "2": {"class_type": "SaveImage", "inputs": inputs}}


def test_the_allowed_nodes_are_the_packs_and_what_the_workflows_use():
    source = (REPOSITORY / "custom_nodes" / "heliochrome" / "nodes").rglob("*.py")
    found = {name for path in source for name in re.findall(r'node_id="([^"]+)"', path.read_text())}
    ours = {name for name in NODES if name.startswith(("Heliochrome", "DDColor"))}
    assert ours == found
    for path in WORKFLOWS:
        used = {node["class_type"] for node in json.loads(path.read_text()).values()}
        assert used <= NODES, path.name


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_shipped_workflow_passes(door: Door, toy: Toy, path: Path):
    toy.seen()
    graph = json.loads(path.read_text())
    answer = door.post("ben", "/comfyui/api/prompt", {"prompt": graph})
    assert answer.status == 200, answer.text
    sent = next(entry["json"] for entry in toy.seen() if "json" in entry)
    assert json.loads(answer.text)["prompt_id"] == sent["prompt_id"]
    assert {key: node["class_type"] for key, node in sent["prompt"].items()} == {
        key: node["class_type"] for key, node in graph.items()
    }
    for key, node in sent["prompt"].items():
        inputs = dict(graph[key]["inputs"])
        if "filename_prefix" in inputs:
            inputs["filename_prefix"] = f"user-ben/{inputs['filename_prefix']}"
        assert node["inputs"] == inputs


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("example.png", "example.png"),
        ("user-ben/a.png", "user-ben/a.png"),
        ("user-ben/pasted/a.png", "user-ben/pasted/a.png"),
        ("clipspace/mask 1.png [input]", "user-ben/clipspace/mask 1.png"),
        ("mine.png", "user-ben/mine.png"),
        ("user-ben/a_00001_.png [output]", "user-ben/a_00001_.png [output]"),
    ],
)
def test_a_file_to_read_is_the_users(door: Door, toy: Toy, given: str, sent: str):
    toy.seen()
    answer = door.post("ben", "/comfyui/prompt", {"prompt": load(given)})
    assert answer.status == 200, answer.text
    (graph,) = [entry["json"]["prompt"] for entry in toy.seen() if "json" in entry]
    assert graph["1"]["inputs"]["image"] == sent


@pytest.mark.parametrize(
    ("given", "sent"),
    [("a", "user-ben/a"), ("user-ben/a", "user-ben/a"), ("2026/a", "user-ben/2026/a"),
     ("user-eve/a", "user-ben/user-eve/a"), ("%year%/a", "user-ben/%year%/a")],
)  # fmt: skip
def test_results_are_written_below_the_users_folder(door: Door, toy: Toy, given: str, sent: str):
    toy.seen()
    answer = door.post("ben", "/comfyui/prompt", {"prompt": save(given)})
    assert answer.status == 200, answer.text
    (graph,) = [entry["json"]["prompt"] for entry in toy.seen() if "json" in entry]
    assert graph["2"]["inputs"]["filename_prefix"] == sent


def test_what_could_harm_others_is_left_out(door: Door, toy: Toy):
    toy.seen()
    body = {
        "prompt": {"1": {**load("example.png")["1"], "is_changed": [1], "_meta": {"title": "x"}}},
        "front": True,
        "number": -1e9,
        "client_id": "mine",
        "extra_data": {
            "extra_pnginfo": {"workflow": {"nodes": []}},
            "auth_token_comfy_org": "key",
            "client_id": "of somebody else",
        },
    }
    assert door.post("ben", "/comfyui/prompt", body).status == 200
    sent = next(entry["json"] for entry in toy.seen() if "json" in entry)
    assert set(sent) == {"prompt", "prompt_id", "client_id", "extra_data"}
    assert sent["extra_data"] == {"extra_pnginfo": {"workflow": {"nodes": []}}}
    assert sent["prompt"]["1"] == load("example.png")["1"]
    assert sent["client_id"] != "mine"
    assert door.post("ada", "/comfyui/prompt", body).status == 200
    assert next(entry["json"] for entry in toy.seen() if "json" in entry)["front"] is True


def test_an_id_of_ones_own_choice_is_taken_once(door: Door, toy: Toy):
    body = {"prompt": load("example.png"), "prompt_id": str(uuid.uuid4())}
    assert (
        json.loads(door.post("ben", "/comfyui/prompt", body).text)["prompt_id"]
        == (body["prompt_id"])
    )
    toy.seen()
    for name in ("ben", "eve"):
        assert door.post(name, "/comfyui/prompt", body).status == 404
    assert not [entry for entry in toy.seen() if entry["method"] == "POST"]


def test_an_administrator_may_allow_more_nodes(door: Door):
    graph = {"1": {"class_type": "ImageInvert", "inputs": {}}}
    assert door.post("ben", "/comfyui/prompt", {"prompt": graph}).status == 200


DEEP: Any = 1
for _ in range(12):
    DEEP = [DEEP]
WRONG: dict[str, tuple[Any, int]] = {
    "any node": ({"prompt": {"1": {"class_type": "CheckpointLoaderSimple", "inputs": {}}}}, 403),
    "another case": ({"prompt": {"1": {"class_type": "loadimage", "inputs": {}}}}, 403),
    "no class": ({"prompt": {"1": {"inputs": {}}}}, 400),
    "class as list": ({"prompt": {"1": {"class_type": ["LoadImage"], "inputs": {}}}}, 400),
    "no graph": ({}, 400),
    "empty graph": ({"prompt": {}}, 400),
    "graph as list": ({"prompt": [1]}, 400),
    "node as text": ({"prompt": {"1": "LoadImage"}}, 400),
    "201 nodes": ({"prompt": {str(n): load("example.png")["1"] for n in range(201)}}, 400),
    "another's input": ({"prompt": load("user-eve/a.png")}, 404),
    "another's output": ({"prompt": load("user-eve/a.png [output]")}, 404),
    "any output": ({"prompt": load("a.png [output]")}, 404),
    "any preview": ({"prompt": load("ComfyUI_temp_abcde_00001_.png [temp]")}, 404),
    "doubly annotated": ({"prompt": load("user-eve/a.png [output] [input]")}, 404),
    "parent folder": ({"prompt": load("../secret.png")}, 400),
    "own and then up": ({"prompt": load("user-ben/../user-eve/a.png")}, 400),
    "absolute path": ({"prompt": load("/etc/passwd")}, 404),
    "backslash": ({"prompt": load("user-ben\\..\\a.png")}, 400),
    "NUL": ({"prompt": load("a\0.png")}, 400),
    "file by link": ({"prompt": {**load("x"), "2": {
        "class_type": "LoadImage", "inputs": {"image": ["1", 0]}}}}, 400),
    "no file": ({"prompt": {"1": {"class_type": "LoadImage", "inputs": {}}}}, 400),
    "prefix up": ({"prompt": save("../../etc/cron.d/x")}, 400),
    "prefix absolute": ({"prompt": save("/etc/x")}, 400),
    "prefix own and up": ({"prompt": save("user-ben/../user-eve/x")}, 400),
    "prefix by link": ({"prompt": save(["1", 0])}, 400),
    "prefix empty": ({"prompt": save("")}, 400),
    "link to nowhere": ({"prompt": {"1": {
        "class_type": "PreviewImage", "inputs": {"images": ["7", 0]}}}}, 400),
    "nested": ({"prompt": {"1": {"class_type": "PreviewImage", "inputs": {"x": DEEP}}}}, 400),
    "long text": ({"prompt": {"1": {
        "class_type": "HeliochromeTextToImage", "inputs": {"prompt": "a" * 20_001}}}}, 400),
    "id of no kind": ({"prompt": load("example.png"), "prompt_id": "../x"}, 400),
    "targets elsewhere": ({"prompt": load("example.png"), "partial_execution_targets": ["9"]}, 400),
    "list": ([], 400),
    "viewer": (None, 403),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_refused_does_not_reach_the_host(door: Door, toy: Toy, case: str):
    toy.seen()
    body, status = WRONG[case]
    answer = door.post("vic" if body is None else "ben", "/comfyui/api/prompt", body)
    assert answer.status == status, answer.text
    assert not [entry for entry in toy.seen() if entry["method"] == "POST"]
    assert json.loads(answer.text)["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"prompt": NaN}',
        b'{"prompt": {}, "prompt": {"1": {"class_type": "LoadImage", "inputs": {}}}}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_json_with_two_readings_or_none_is_refused(door: Door, toy: Toy, body: bytes):
    toy.seen()
    assert door.ask("ben", "POST", "/comfyui/prompt", body).status == 400
    assert not [entry for entry in toy.seen() if entry["method"] == "POST"]


def test_a_run_is_in_the_record_without_its_prompt(door: Door):
    graph = {"1": {"class_type": "HeliochromeTextToImage",
                   "inputs": {"prompt": "my grandmother", "model": "tiny"}}}  # fmt: skip
    answer = door.post("ben", "/comfyui/prompt", {"prompt": graph})
    run_id = json.loads(answer.text)["prompt_id"]
    line = next(line for line in door.record() if line.get("job") == run_id)
    assert (line["kind"], line["user"], line["outcome"]) == ("run", "ben", "queued")
    assert (line["nodes"], line["models"]) == (1, ["tiny"])
    assert len(line["workflow_sha256"]) == 64
    assert "grandmother" not in json.dumps(door.record())
