"""What is whose: runs, their history, queue, previews and files, seen by another user."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from door import Door, basic, running_door
from toy_comfyui import Toy, running_toy

from waiting import eventually

GRAPH = {"1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}}}


@pytest.fixture(scope="module")
def toy() -> Iterator[Toy]:
    with running_toy() as toy:
        yield toy


@pytest.fixture(scope="module")
def door(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with running_door(tmp_path_factory.mktemp("gateway"), toy.address) as door:
        yield door


def begun(door: Door, name: str, **more: Any) -> str:
    answer = door.post(name, "/comfyui/prompt", {"prompt": GRAPH, **more})
    assert answer.status == 200, answer.text
    run_id: str = json.loads(answer.text)["prompt_id"]
    return run_id


def preview_of(run_id: str) -> str:
    return f"ComfyUI_temp_{run_id[:5]}_00001_.png"


def posts(toy: Toy) -> list[dict[str, Any]]:
    return [entry for entry in toy.seen() if entry["method"] == "POST"]


def test_lists_hold_ones_own(door: Door):
    mine, others = begun(door, "ben"), begun(door, "eve")
    history = door.json("ben", "/comfyui/api/history?max_items=200")
    assert mine in history
    assert others not in json.dumps(history)
    assert door.json("ben", f"/comfyui/history/{mine}").keys() == {mine}
    assert door.json("ben", f"/comfyui/history/{others}") == {}
    queue = door.json("ben", "/comfyui/queue")
    assert mine in json.dumps(queue)
    assert others not in json.dumps(queue)
    assert door.json("vic", "/comfyui/queue") == {"queue_running": [], "queue_pending": []}
    jobs = door.json("ben", "/comfyui/api/jobs?limit=1&offset=0")
    assert len(jobs["jobs"]) == 1
    assert others not in json.dumps(door.json("ben", "/comfyui/api/jobs"))


def test_pages_count_ones_own(door: Door):
    runs = [begun(door, "ada") for _ in range(3)]
    begun(door, "eve")
    assert list(door.json("ada", "/comfyui/history?max_items=2")) == runs[1:]
    assert list(door.json("ada", "/comfyui/history?max_items=1&offset=1")) == runs[1:2]
    jobs = door.json("ada", "/comfyui/api/jobs?limit=2&offset=2")
    assert [job["id"] for job in jobs["jobs"]] == runs[2:]
    assert jobs["pagination"] == {"offset": 2, "limit": 2, "total": 3, "has_more": False}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/comfyui/interrupt", lambda run: {"prompt_id": run}),
        ("/comfyui/api/interrupt", lambda run: {}),
        ("/comfyui/interrupt", lambda run: {"prompt_id": None}),
        ("/comfyui/interrupt", lambda run: {"prompt_id": [run]}),
        ("/comfyui/queue", lambda run: {"delete": [run]}),
        ("/comfyui/queue", lambda run: {}),
        ("/comfyui/history", lambda run: {"delete": [run]}),
        ("/comfyui/api/jobs/cancel", lambda run: {"job_ids": [run]}),
    ],
)
def test_nobody_stops_or_forgets_anothers_run(door: Door, toy: Toy, path: str, body):
    theirs = begun(door, "eve")
    posts(toy)
    assert door.post("ben", path, body(theirs)).status == 404
    assert door.post("ben", f"/comfyui/api/jobs/{theirs}/cancel", {}).status == 404
    assert door.post("vic", path, body(theirs)).status == 403
    assert posts(toy) == []


def test_ones_own_run_can_be_stopped_and_forgotten(door: Door, toy: Toy):
    mine = begun(door, "ben")
    posts(toy)
    for path, body in (
        ("/comfyui/interrupt", {"prompt_id": mine}),
        ("/comfyui/queue", {"delete": [mine]}),
        ("/comfyui/history", {"delete": [mine]}),
        ("/comfyui/api/jobs/cancel", {"job_ids": [mine]}),
        (f"/comfyui/api/jobs/{mine}/cancel", {}),
    ):
        assert door.post("ben", path, body).status == 200, path
    assert len(posts(toy)) == 5


@pytest.mark.parametrize("path", ["/comfyui/queue", "/comfyui/history"])
def test_clearing_all_clears_ones_own(door: Door, toy: Toy, path: str):
    theirs = begun(door, "eve")
    mine = begun(door, "ben")
    toy.seen()
    assert door.post("ben", path, {"clear": True}).status == 200
    (sent,) = posts(toy)
    assert sent["path"] == path.removeprefix("/comfyui")
    deleted = json.loads(sent["body"])["delete"]
    assert mine in deleted
    assert theirs not in deleted


def test_a_preview_is_for_whom_the_host_told_about_it(door: Door, toy: Toy):
    mine = begun(door, "ben")
    path = f"/comfyui/view?filename={preview_of(mine)}&type=temp&subfolder="
    assert door.ask("eve", "GET", path).status == 404
    door.json("ben", f"/comfyui/history/{mine}")
    assert door.ask("ben", "GET", path).status == 200
    assert door.ask("eve", "GET", path).status == 404
    line = [line for line in door.record() if line["kind"] == "download"][-1]
    assert (line["user"], line["file"]) == ("ben", f"temp//{preview_of(mine)}")


def test_writing_a_previews_name_into_ones_workflow_does_not_open_it(door: Door):
    theirs = begun(door, "eve")
    name = {"filename": preview_of(theirs), "subfolder": "", "type": "temp"}
    mine = begun(door, "ben", extra_data={"extra_pnginfo": {"workflow": name}})
    for path in (f"history/{mine}", "history", "api/jobs", f"api/jobs/{mine}", "queue"):
        door.ask("ben", "GET", f"/comfyui/{path}")
    path = f"/comfyui/view?filename={preview_of(theirs)}&type=temp"
    assert door.ask("ben", "GET", path).status == 404


@pytest.mark.parametrize(
    ("query", "status", "asked"),
    [
        ("filename=a.png&subfolder=user-ben", 200, ("a.png", "user-ben", "output")),
        ("filename=a.png&subfolder=user-ben&type=input", 200, ("a.png", "user-ben", "input")),
        ("filename=user-ben/a.png", 200, ("a.png", "user-ben", "output")),
        ("filename=example.png&type=input", 200, ("example.png", "", "input")),
        ("filename=a.png&subfolder=pasted&type=input", 200, ("a.png", "user-ben/pasted", "input")),
        ("filename=a.png&subfolder=user-eve", 404, None),
        ("filename=a.png", 404, None),
        ("filename=user-eve/a.png", 404, None),
        ("filename=a.png&subfolder=user-eve&type=input", 404, None),
        ("filename=a.png [output]&subfolder=user-eve&type=input", 400, None),
        ("filename=a.png%20[output]&subfolder=user-eve&type=input", 404, None),
        ("filename=user-eve/a.png%20[output]&type=input", 404, None),
        ("filename=a.png&subfolder=user-ben/../user-eve", 400, None),
        ("filename=../user-eve/a.png&subfolder=user-ben", 400, None),
        ("filename=..%2fa.png&subfolder=user-ben", 400, None),
        ("filename=..%5ca.png&subfolder=user-ben", 400, None),
        ("filename=a.png&subfolder=user-ben&subfolder=user-eve", 400, None),
        ("filename=a.png&subfolder=user-ben&type=models", 404, None),
        ("filename=/etc/passwd", 404, None),
        ("filename=&subfolder=user-ben", 404, None),
        ("filename=", 400, None),
        ("filename=a.png&subfolder=user-benny", 404, None),
        ("filename=a.png&subfolder=USER-BEN", 404, None),
        ("subfolder=user-ben", 404, None),
        ("filename=ComfyUI_temp_abcde_00001_.png&type=temp", 404, None),
    ],
)
def test_files_are_ones_own(door: Door, toy: Toy, query: str, status: int, asked):
    toy.seen()
    for path in ("/comfyui/view", "/comfyui/api/view"):
        head = f"Host: a\r\nConnection: close\r\nAuthorization: {basic('ben')}\r\n\r\n"
        answer = door.raw(f"GET {path}?{query} HTTP/1.1\r\n{head}".encode())
        assert int(answer.split()[1]) == status
    sent = [entry["path"] for entry in toy.seen() if "/view" in entry["path"]]
    if asked is None:
        assert sent == []
    else:
        name, subfolder, place = asked
        for path in sent:
            assert path.partition("?")[2].split("&") == [
                f"filename={name}", f"subfolder={subfolder.replace('/', '%2F')}", f"type={place}",
            ]  # fmt: skip
        assert len(sent) == 2


def test_the_frontends_files_are_in_a_folder_for_each_user(door: Door, toy: Toy):
    toy.seen()
    door.ask("ben", "GET", "/comfyui/api/userdata?dir=workflows&recurse=true")
    door.ask("ben", "POST", "/comfyui/api/userdata/workflows%2Fa.json?overwrite=false", b"{}")
    door.ask("ben", "POST", "/comfyui/api/userdata/a.json/move/workflows%2Fb.json", b"")
    door.ask("ben", "GET", "/comfyui/api/userdata/user.css")
    assert door.ask("ben", "GET", "/comfyui/userdata?dir=../user-eve").status == 400
    assert door.ask("vic", "DELETE", "/comfyui/userdata/a.json").status == 403
    assert [entry["path"] for entry in toy.seen()] == [
        "/api/userdata?dir=user-ben%2Fworkflows&recurse=true",
        "/api/userdata/user-ben%252Fworkflows%252Fa.json?overwrite=false",
        "/api/userdata/user-ben%252Fa.json/move/user-ben%252Fworkflows%252Fb.json",
        "/api/userdata/user-ben%252Fuser.css",
    ]


def test_settings_are_for_each_user(door: Door, toy: Toy):
    toy.seen()
    one, many = "/comfyui/api/settings/Comfy.Locale", "/comfyui/settings"
    assert door.ask("ben", "POST", one, '"zh"').status == 200
    assert door.ask("ben", "POST", many, '{"a": 1}').status == 200
    assert door.ask("ben", "POST", one, '1}, "x": {').status == 400
    assert door.ask("ben", "POST", many, json.dumps({"a": "x" * 300_000})).status == 413
    assert door.ask("vic", "POST", one, '"zh"').status == 403
    written = [entry for entry in toy.seen() if entry["method"] == "POST"]
    assert {entry["path"] for entry in written} == {"/userdata/user-ben%252Fcomfy.settings.json"}
    assert json.loads(written[0]["body"])["Comfy.Locale"] == "zh"


def test_nodes_and_pictures_of_others_are_not_listed(door: Door):
    found = door.json("ben", "/comfyui/api/object_info")
    assert set(found) == {"LoadImage", "PreviewImage"}
    assert found["LoadImage"]["input"]["required"]["image"][0] == ["example.png"]


@pytest.mark.parametrize("outcome", ["success", "lost"])
def test_runs_keep_their_owner_and_their_end_is_recorded(tmp_path: Path, outcome: str):
    """Also if the gateway was killed meanwhile, and if the host was restarted."""
    with running_toy() as toy:
        with running_door(tmp_path, toy.address) as door:
            mine = begun(door, "ben")
            door.process.kill()
        with running_door(tmp_path, toy.address) as door:
            assert mine in door.json("ben", "/comfyui/history")
            assert mine not in door.json("eve", "/comfyui/history")
            time.sleep(2.5)
            assert ends(door, mine) == ["queued"]
            toy.finish(keep=outcome == "success")
            assert eventually(lambda: len(ends(door, mine)) == 2)
            assert ends(door, mine) == ["queued", outcome]


def ends(door: Door, run_id: str) -> list[str]:
    return [line["outcome"] for line in door.record() if line.get("job") == run_id]
