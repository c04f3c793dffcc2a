"""The studio behind its real gateway: who may do what, and what the record says of it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from running_studio import TOKEN, RunningStudio, running_studio

sys.path.append(str(Path(__file__).parents[1] / "gateway"))

from door import Door, running_door


@dataclass
class House:
    """door: the gateway; studio: behind it, for looking at what reaches it."""

    door: Door
    studio: RunningStudio

    def bring(self, name: str, photo: bytes, file: str = "aunt.jpg") -> str:
        answer = self.door.ask(name, "POST", f"/api/v1/photos?name={file}", photo)
        assert answer.status == 201, answer.text
        found: str = json.loads(answer.text)["id"]
        return found

    def record(self, kind: str, user: str, **facts: Any) -> list[dict[str, Any]]:
        """Lines of this kind and user with these facts."""
        return [
            line
            for line in self.door.record()
            if line["kind"] == kind
            and line["user"] == user
            and all(line.get(name) == value for name, value in facts.items())
        ]

    def soon(self, there: Callable[[], Any]) -> Any:
        end = time.monotonic() + 60
        while not (found := there()):
            assert time.monotonic() < end, "it takes too long"
            time.sleep(0.1)
        return found


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with (
        running_studio(tmp_path_factory.mktemp("studio")) as studio,
        running_door(
            tmp_path_factory.mktemp("gateway"), "http://127.0.0.1:9",
            studio=studio.address, studio_token=TOKEN,
        ) as door,
    ):  # fmt: skip
        yield House(door, studio)


def test_a_photograph_goes_in_and_its_colours_come_out_and_all_of_it_is_recorded(
    house: House, photo: bytes
):
    brought = house.bring("ben", photo)
    (upload,) = house.record("upload", "ben", sha256=hashlib.sha256(photo).hexdigest())
    assert (upload["file"], upload["outcome"], upload["address"]) == (
        "aunt.jpg", "taken", "127.0.0.1",
    )  # fmt: skip
    answer = house.door.post("ben", "/api/v1/jobs", {"photos": [brought], "preset": "portrait"})
    job = json.loads(answer.text)["id"]
    (begun,) = house.record("run", "ben", job=job)
    assert (begun["outcome"], begun["photos"], begun["preset"]) == ("queued", 1, "portrait")
    house.soon(lambda: house.door.json("ben", f"/api/v1/jobs/{job}")["state"] == "done")
    (ended,) = house.soon(lambda: house.record("run", "ben", photo=brought))
    assert (ended["outcome"], ended["models"], ended["job"]) == ("done", ["ddcolor_v2"], job)
    assert ended["duration_s"] > 0
    result = subprocess.run(
        ["curl", "-sf", "-u", "ben:correct horse battery",
         f"{house.door.address}/api/v1/photos/{brought}/result"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert result.startswith(b"\xff\xd8")
    (download,) = house.record("download", "ben", job=job)
    assert (download["file"], download["bytes"]) == ("aunt.colour.jpg", len(result))
    for act, outcome in (("cancel", "stopped"), ("retry", "queued again")):
        assert house.door.ask("ben", "POST", f"/api/v1/jobs/{job}/{act}").status == 200
        assert house.record("run", "ben", job=job, outcome=outcome)
    assert house.door.ask("ben", "DELETE", f"/api/v1/jobs/{job}").status == 204
    assert house.record("delete", "ben", job=job, photos=1)
    # What has been recorded is told only once.
    assert house.studio.ask("gateway", "GET", "/internal/events").json == {"events": []}


def test_what_is_refused_is_recorded(house: House):
    refused = house.door.ask("eve", "POST", "/api/v1/photos?name=letter.txt", "Dear grandmother")
    assert refused.status == 422
    (line,) = house.record("upload", "eve")
    assert (line["outcome"], line["reason"], line["file"]) == (
        "refused", "bad_image", "letter.txt",
    )  # fmt: skip


def test_what_passes_between_gateway_and_studio_stays_there(house: House, photo: bytes):
    answer = house.door.ask("ben", "POST", "/api/v1/photos?name=a.jpg", photo)
    assert not [name for name in answer.headers if name.lower().startswith("heliochrome")]
    for path in ("/internal/events", "/internal/", "/internal", "/internal/events?upto=9"):
        for method in ("GET", "DELETE"):
            assert house.door.ask("ada", method, path).status == 404
    # Nobody is somebody else by saying so.
    said = house.door.ask(
        "eve", "GET", "/api/v1/me", Heliochrome_User="ben", Heliochrome_Role="admin"
    )
    assert json.loads(said.text)["user"] == "eve" and json.loads(said.text)["role"] == "user"
    assert house.studio.ask("ben", "GET", "/api/v1/me", Heliochrome_Token="x" * 20).status == 401


def test_a_viewer_looks_and_changes_nothing(house: House, photo: bytes):
    assert house.door.json("vic", "/api/v1/me")["role"] == "viewer"
    assert house.door.json("vic", "/api/v1/jobs") == {"jobs": [], "more": False}
    assert house.door.ask("vic", "GET", "/").status == 200
    for method, path in (
        ("POST", "/api/v1/photos?name=a.jpg"), ("POST", "/api/v1/jobs"),
        ("DELETE", "/api/v1/jobs/1"), ("POST", "/api/v1/jobs/1/retry"),
    ):  # fmt: skip
        assert house.door.ask("vic", method, path, photo).status == 403


def test_the_page_and_the_manual_keep_their_own_policy(house: House):
    page = house.door.ask("ben", "GET", "/")
    assert page.status == 200 and "unsafe" not in page.headers["Content-Security-Policy"]
    help_page = house.door.ask("ben", "GET", "/help/en/quick-start")
    assert help_page.status == 200
    assert "script-src" not in help_page.headers["Content-Security-Policy"]
    for answer in (page, help_page):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
    assert house.door.ask("", "GET", "/help/en/quick-start").status in (303, 401)
    assert house.door.ask("", "GET", "/readyz").text == "ready\n"


def test_a_large_photograph_passes_without_being_held(house: House):
    """200 MB: refused at its end as no picture, in little memory on both sides."""
    before = peak_kib(house.door.process.pid)
    size = 200 * 1024 * 1024
    sent = subprocess.run(
        ["curl", "-s", "-u", "ben:correct horse battery", "-X", "POST", "--data-binary", "@-",
         f"{house.door.address}/api/v1/photos?name=large.jpg"],
        input=b"\xff\xd8\xff" + b"\0" * size, capture_output=True, check=True,
    )  # fmt: skip
    assert json.loads(sent.stdout)["error"]["code"] == "bad_image"
    assert peak_kib(house.door.process.pid) - before < 40_000
    assert peak_kib(house.studio.process.pid) < 600_000
    assert list((house.studio.folder / "incoming").iterdir()) == []


def test_a_killed_gateway_loses_no_event(tmp_path: Path, photo: bytes):
    with running_studio(tmp_path / "a") as studio:
        place = {"studio": studio.address, "studio_token": TOKEN}
        folder = tmp_path / "gateway"
        with running_door(folder, "http://127.0.0.1:9", **place) as door:
            house = House(door, studio)
            brought = house.bring("ben", photo)
            body = {"photos": [brought], "preset": "portrait"}
            job = json.loads(door.post("ben", "/api/v1/jobs", body).text)["id"]
            door.process.kill()
            door.process.wait()
        studio.wait("ben", job)
        with running_door(folder, "http://127.0.0.1:9", **place) as door:
            (ended,) = House(door, studio).soon(
                lambda: House(door, studio).record("run", "ben", photo=brought)
            )
            assert ended["outcome"] == "done"


def test_the_gateway_says_that_the_studio_is_away(tmp_path: Path):
    with running_door(
        tmp_path, "http://127.0.0.1:9", studio="http://127.0.0.1:9", studio_token=TOKEN
    ) as door:
        answer = door.ask("ben", "GET", "/api/v1/me")
        assert answer.status == 502 and json.loads(answer.text)["error"]["type"] == "host"
        assert "The studio" in answer.text
        assert json.loads(answer.text)["error"]["code"] == "host", "as the API describes errors"
        assert door.ask("", "GET", "/readyz").status == 503


def peak_kib(pid: int) -> int:
    line = next(
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmHWM" in line
    )
    return int(line.split()[1])


def test_the_studio_listens_on_this_machine_only(house: House):
    assert urlsplit(house.studio.address).hostname == "127.0.0.1"
