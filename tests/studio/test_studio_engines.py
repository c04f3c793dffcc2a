"""Engines that fail: in which words, whose fault it is, and that nothing goes on for ever."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from running_studio import install, running_studio
from toy_comfyui_host import running_toy_host

from heliochrome.core.errors import Cancelled, OutOfMemory
from heliochrome.core.jobs import never_cancel, no_progress
from heliochrome.studio import comfyui_engine
from heliochrome.studio.comfyui_engine import ComfyUIEngine
from heliochrome.studio.database import Database
from heliochrome.studio.engine import EngineAway, EngineFailed
from heliochrome.studio.local_engine import LocalEngine
from heliochrome.studio.queue import MOST_ATTEMPTS, Queue
from heliochrome.studio.records import Order, Photo

ORDER = Order("portrait")
PATIENT_S = comfyui_engine._QUIET_S


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comfyui_engine, "_QUIET_S", 0.25)


def picture() -> np.ndarray:
    return np.full((20, 30, 3), 90, np.uint8)


@pytest.mark.parametrize("fault", ["no pack", "not found", "html"])
def test_what_is_no_comfyui_with_our_nodes_is_waited_for(fault: str):
    with running_toy_host(fault) as toy, pytest.raises(EngineAway) as caught:
        ComfyUIEngine(toy.origin, "ddcolor_v2").ready()
    assert toy.origin in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "kind", "code", "words"),
    [
        ("closes", EngineAway, "engine_failed", "closed the connection"),
        ("", EngineAway, "engine_failed", "forgotten the work"),
        ("lost error", EngineFailed, OutOfMemory.code, "Not even size 256 fits."),
        ("no picture", EngineFailed, "engine_failed", "without a picture"),
        ("too large", EngineFailed, "engine_failed", "--max-upload-size"),
    ],
)
def test_a_run_that_fails_says_how(
    fault: str, kind: type, code: str, words: str, monkeypatch: pytest.MonkeyPatch
):
    if fault == "closes":  # which is to be heard before the host is asked
        monkeypatch.setattr(comfyui_engine, "_QUIET_S", PATIENT_S)
    with running_toy_host(fault) as toy, pytest.raises(kind) as caught:
        engine = ComfyUIEngine(toy.origin, "ddcolor_v2")
        engine.colorize(picture(), ORDER, no_progress, never_cancel)
    assert caught.value.code == code and words in str(caught.value)
    if kind is EngineAway:
        assert caught.value.begun, "this photograph may be what ended it"


def test_what_is_not_there_at_all_has_not_begun():
    with pytest.raises(EngineAway) as caught:
        ComfyUIEngine("http://127.0.0.1:9", "m").colorize(
            picture(), ORDER, no_progress, never_cancel
        )
    assert not caught.value.begun


def test_cancelling_leaves_the_host():
    def cancel() -> None:
        if toy.prompts:
            raise Cancelled("The owner stopped it.")

    with running_toy_host() as toy, pytest.raises(Cancelled):
        ComfyUIEngine(toy.origin, "m").colorize(picture(), ORDER, no_progress, cancel)


@pytest.mark.parametrize(
    ("pixels", "mode", "level"),
    [
        (np.full((3, 5, 3), 90, np.uint8), "L", 90),
        (np.full((3, 5, 3), 90 * 257 + 128, np.uint16), "L", 90),
        (np.full((3, 5, 3), 90 * 257 + 129, np.uint16), "L", 91),
        (np.full((3, 5, 3), (90, 91, 90), np.uint8), "RGB", (90, 91, 90)),
    ],
)
def test_comfyui_is_given_eight_bits_rounded(pixels: np.ndarray, mode: str, level: object):
    with running_toy_host("no picture") as toy, pytest.raises(EngineFailed):
        ComfyUIEngine(toy.origin, "m").colorize(pixels, ORDER, no_progress, never_cancel)
    (sent,) = toy.uploads
    assert (sent.mode, sent.size, sent.getpixel((4, 2))) == (mode, (5, 3), level)


def test_sixteen_bits_become_eight_in_strips():
    pixels = np.zeros((4000, 4000, 3), np.uint16)
    tracemalloc.start()
    comfyui_engine._png(pixels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # One byte a channel for the whole, and strips beside it.
    assert peak < 2 * pixels.size


def test_a_model_file_that_goes_away_is_told_as_that(tmp_path: Path, photo: bytes):
    with running_studio(tmp_path) as studio:
        done = studio.wait("ben", studio.job("ben", [studio.bring("ben", photo)], "auto")["id"])
        assert done["state"] == "done"
        (tmp_path / "models" / "ddcolor_v2.safetensors").unlink()
        failed = studio.wait("ben", studio.job("ben", [studio.bring("ben", photo)], "auto")["id"])
        assert failed["photos"][0]["error"]["code"] == "model_unavailable"
        assert studio.ask("ben", "GET", f"/api/v1/photos/{failed['photos'][0]['id']}/before").body
        install(tmp_path / "models")
        studio.ask("ben", "POST", f"/api/v1/jobs/{failed['id']}/retry")
        assert studio.wait("ben", failed["id"])["state"] == "done"


def test_a_local_engine_without_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HELIOCHROME_CACHE", str(tmp_path))
    monkeypatch.delenv("HELIOCHROME_MODELS", raising=False)
    with pytest.raises(EngineFailed) as caught:
        LocalEngine("ddcolor_v2", "torch").colorize(picture(), ORDER, no_progress, never_cancel)
    assert str(tmp_path) not in str(caught.value)


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    base = Database(tmp_path)
    base.change(
        "INSERT INTO jobs (id, owner, preset, preview, created) VALUES ('j', 'ben', 'auto', 0, 1)"
    )
    base.change(
        "INSERT INTO photos (id, owner, name, stored, bytes, sha256, format, width, height, "
        "uploaded, state, job, place) VALUES ('p', 'ben', '', '', 1, '', 'png', 1, 1, 0, "
        "'queued', 'j', 0)"
    )
    return Queue(base)


def state_of(queue: Queue) -> tuple[str, int]:
    row = queue._base.one("SELECT state, attempts FROM photos")
    assert row is not None
    return row["state"], row["attempts"]


def begun(queue: Queue) -> Photo:
    found = queue.next()
    assert found is not None
    return found[0]


def test_what_was_put_back_has_not_been_tried(queue: Queue):
    for _ in range(MOST_ATTEMPTS + 1):
        queue.put_back(begun(queue))
        assert state_of(queue) == ("queued", 0)


def test_what_breaks_off_again_and_again_is_left_alone(queue: Queue):
    for attempt in range(1, MOST_ATTEMPTS):
        queue.broke_off(begun(queue))
        assert state_of(queue) == ("queued", attempt)
    queue.broke_off(begun(queue))
    assert state_of(queue) == ("failed", MOST_ATTEMPTS)
    assert queue.next() is None


@pytest.mark.parametrize("leave", [Queue.put_back, Queue.broke_off])
def test_what_its_owner_stopped_does_not_begin_again(
    queue: Queue, leave: Callable[[Queue, Photo], None]
):
    photo = begun(queue)
    queue._base.change("UPDATE photos SET stop = 1")
    leave(queue, photo)
    assert state_of(queue)[0] == "cancelled"
    assert queue.next() is None
