"""The self-test: what is good, what is found to be wrong, and that it never goes on for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running_studio import BACKEND, TOKEN, RunningStudio, environment, running_studio
from toy_comfyui_host import running_toy_host

from heliochrome.core.errors import Cancelled, OutOfMemory
from heliochrome.core.jobs import Cancel, Progress, never_cancel
from heliochrome.core.presets import PRESETS
from heliochrome.core.provenance import Provenance
from heliochrome.core.treatment import Treated
from heliochrome.studio.database import Database
from heliochrome.studio.engine import EngineAway
from heliochrome.studio.local_engine import LocalEngine
from heliochrome.studio.queue import Queue
from heliochrome.studio.records import Order
from heliochrome.studio.self_test import KeptSelfTest, all_good, examine
from heliochrome.studio.settings import StudioSettings
from heliochrome.studio.worker import Worker

# A pixel's channels, moved so that its lightness stays nearly the same.
TINT = np.array([4, -2, 3])


class Engine:
    """Gives what `paint` makes of the picture, or raises it."""

    name = "made up"

    def __init__(self, paint: Callable[[np.ndarray], np.ndarray] | Exception) -> None:
        self._paint = paint

    def ready(self) -> None:
        pass

    def colorize(self, pixels: Any, order: Order, progress: Progress, cancel: Cancel) -> Treated:
        cancel()
        if isinstance(self._paint, Exception):
            raise self._paint
        record = Provenance("colorization", "m", "0", {}, (), datetime.now(timezone.utc))
        return Treated(self._paint(pixels), (), record)

    def close(self) -> None:
        pass


def tinted(pixels: np.ndarray) -> np.ndarray:
    return (pixels + TINT).clip(0, 255).astype(np.uint8)


def test_colour_with_the_same_lightness_is_good():
    outcomes = examine(Engine(tinted), never_cancel)
    assert [outcome.preset for outcome in outcomes] == list(PRESETS)
    assert all_good(outcomes), outcomes


@pytest.mark.parametrize(
    ("paint", "said"),
    [
        (lambda pixels: pixels, "no colour"),
        (lambda pixels: tinted(pixels) // 2, "brightness changed"),
        (lambda pixels: np.zeros_like(pixels), "brightness changed"),
        (lambda pixels: tinted(pixels)[1:], "The result is (719, 960, 3)"),
        (lambda pixels: tinted(pixels).astype(np.uint16), "uint16"),
        (OutOfMemory("Not even size 256 fits."), "Not even size 256 fits."),
        (EngineAway("It has gone.", begun=True), "It has gone."),
    ],
)
def test_what_is_wrong_is_said(paint: Any, said: str):
    outcomes = examine(Engine(paint), never_cancel)
    assert not all_good(outcomes)
    assert all(said in outcome.text for outcome in outcomes)


def test_an_engine_that_is_away_is_no_outcome():
    with pytest.raises(EngineAway):
        examine(Engine(EngineAway("It is not there yet.")), never_cancel)


def test_nothing_is_not_good():
    assert not all_good(())


def command(folder: Path, *options: str, **settings: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "heliochrome", "self-test", *options],
        env=environment(folder, **settings), capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip


def test_the_worker_tests_itself_and_the_command_tells_what_it_found(tmp_path: Path):
    with running_studio(tmp_path, self_test=1) as studio:
        done = command(tmp_path, "--worker", self_test=1)
        assert done.returncode == 0, done.stderr
        assert [line.partition(":")[0] for line in done.stdout.splitlines()] == list(PRESETS)
        assert done.stdout.count(": good. ") == len(PRESETS)
        studio.wait_until(lambda: "Self-test, building: good" in studio.log.read_text())


def test_without_a_model_it_is_not_good_and_says_why(tmp_path: Path):
    with running_studio(tmp_path, model=False, self_test=1):
        done = command(tmp_path, "--worker", self_test=1)
    assert done.returncode == 1
    assert done.stdout.count("NOT GOOD. The model ddcolor_v2 is not there") == len(PRESETS)


def test_another_start_finds_anew(tmp_path: Path):
    with running_studio(tmp_path, model=False, self_test=1):
        assert command(tmp_path, "--worker", self_test=1).returncode == 1
    with running_studio(tmp_path, self_test=1):
        assert command(tmp_path, "--worker", self_test=1).returncode == 0


def test_a_studio_that_makes_none_or_has_ended_says_so(tmp_path: Path):
    with running_studio(tmp_path):
        none = command(tmp_path, "--worker", "--wait", "1")
    assert none.returncode == 2 and "HELIOCHROME_STUDIO_SELF_TEST=1" in none.stderr
    with running_studio(tmp_path, self_test=1):
        assert command(tmp_path, "--worker", token="").returncode == 0, "no token is needed"
    ended = command(tmp_path, "--worker", "--wait", "1")
    assert ended.returncode == 2 and "it is not running" in ended.stderr


def test_where_no_studio_ever_was_nothing_is_made(tmp_path: Path):
    done = command(tmp_path, "--worker", "--wait", "1")
    assert done.returncode == 2 and "No studio has ever run in" in done.stderr
    assert not (tmp_path / "studio").exists()


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:8188", "http://127.0.0.1:8188/x"])
def test_an_address_that_is_none_is_told_at_once(tmp_path: Path, address: str):
    done = command(tmp_path, "--comfyui", address)
    assert done.returncode == 2 and "--comfyui must be an address" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_what_talks_to_comfyui_it_says_what_to_install(tmp_path: Path):
    code = (
        "import sys; sys.modules['aiohttp'] = None; from heliochrome.cli import main; "
        "sys.exit(main(['self-test', '--comfyui', 'http://127.0.0.1:9']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(tmp_path), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2 and "pip install 'heliochrome[studio]'" in done.stderr


def test_a_comfyui_that_is_not_there_is_not_waited_for_longer_than_asked(tmp_path: Path):
    done = command(tmp_path, "--comfyui", "http://127.0.0.1:9", "--wait", "0")
    assert done.returncode == 2 and "http://127.0.0.1:9 cannot be used" in done.stderr


def test_a_comfyui_that_never_ends_is_not_waited_for_longer_than_asked(tmp_path: Path):
    with running_toy_host("never ends") as toy:
        done = command(tmp_path, "--comfyui", toy.origin, "--wait", "2")
    assert done.returncode == 2 and "has not ended the self-test within 2 s" in done.stderr


def is_at_it(studio: RunningStudio) -> bool:
    base = Database(studio.folder)
    try:
        return Queue(base).engine().get("self_test") == "at it"
    finally:
        base.close()


def test_a_test_that_ends_the_worker_is_not_made_again(tmp_path: Path, photo: bytes):
    with running_studio(tmp_path, self_test=1) as studio:
        studio.wait_until(lambda: is_at_it(studio))
        pid = studio.worker_pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        done = command(tmp_path, "--worker", self_test=1)
        assert done.returncode == 1 and "ended the worker" in done.stdout
        job = studio.job("ben", [studio.bring("ben", photo)], "portrait")["id"]
        assert studio.wait("ben", job)["state"] == "done", "photographs are taken all the same"


class Waiting(Engine):
    """Works for some seconds, looking whether it is to stop, and notes when it did."""

    def __init__(self) -> None:
        super().__init__(tinted)
        self.stopped: list[float] = []

    def colorize(self, pixels: Any, order: Order, progress: Progress, cancel: Cancel) -> Treated:
        try:
            for _ in range(100):
                cancel()
                time.sleep(0.05)
        except Cancelled:
            self.stopped.append(time.monotonic())
            raise
        return super().colorize(pixels, order, progress, cancel)


def test_a_photograph_does_not_wait_for_it(tmp_path: Path, photo: bytes):
    """The worker's own loop, in this process, beside a server without one."""
    with running_studio(tmp_path, start_worker=False) as studio:
        engine, stop = Waiting(), threading.Event()
        settings = StudioSettings(token=TOKEN, folder=studio.folder, self_test=True)
        thread = threading.Thread(target=Worker(settings, engine, stop).run)
        thread.start()
        try:
            studio.wait_until(lambda: is_at_it(studio))
            job = studio.job("ben", [studio.bring("ben", photo)], "portrait")["id"]
            studio.wait_until(lambda: bool(engine.stopped))
            studio.wait("ben", job, until=("running", "done"))
        finally:
            stop.set()
            thread.join()


def test_what_cannot_be_kept_is_kept_later_and_not_made_again(tmp_path: Path):
    base = Database(tmp_path)
    queue, made = Queue(base), []
    kept = KeptSelfTest(queue)

    def paint(pixels: np.ndarray) -> np.ndarray:
        made.append(1)
        if len(made) == len(PRESETS):  # the last one: then the disk is full
            base.close()
        return tinted(pixels)

    with pytest.raises(Exception, match=r"closed|disk|used"):
        kept.make(Engine(paint), never_cancel)
    queue._base = Database(tmp_path)
    assert all_good(kept.make(Engine(paint), never_cancel)) and len(made) == len(PRESETS)
    assert KeptSelfTest(queue).outcomes() == kept.outcomes()


def test_it_can_be_made_here_and_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with running_studio(tmp_path, start_worker=False) as studio:
        monkeypatch.setenv("HELIOCHROME_MODELS", str(studio.models))
        monkeypatch.setenv("HELIOCHROME_CACHE", str(tmp_path / "cache"))
        assert all_good(examine(LocalEngine("ddcolor_v2", BACKEND), never_cancel))


def test_a_comfyui_that_fails_is_not_good(tmp_path: Path):
    with running_toy_host("no picture") as toy:
        done = command(tmp_path, "--comfyui", toy.origin)
    assert done.returncode == 1
    assert done.stdout.count("NOT GOOD. ComfyUI ended the work without a picture.") == len(PRESETS)
