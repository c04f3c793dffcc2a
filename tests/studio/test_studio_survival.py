"""Killed processes, full disks, photographs that take the worker down: nothing is lost."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from running_studio import RunningStudio, environment, running_studio

from small_disk import fill, small_disk

# Large enough that its work can be met while it goes on.
SLOW = (3000, 2400)


@pytest.fixture(scope="module")
def slow() -> bytes:
    """JPEG of some megapixels."""
    file = io.BytesIO()
    rows = np.random.default_rng(3).integers(0, 255, (SLOW[1] // 20, SLOW[0] // 20), np.uint8)
    Image.fromarray(rows).resize(SLOW).save(file, "jpeg", quality=95)
    return file.getvalue()


def running_pid(studio: RunningStudio, job: str) -> int:
    """The worker's, once it has begun one of these photographs."""
    studio.wait("ben", job, until=("running",))
    pid = studio.worker_pid()
    assert pid is not None
    return pid


def all_done(job: Any, count: int) -> None:
    assert job["counts"] == {"done": count}
    assert all(photo["result"]["bytes"] > 0 for photo in job["photos"])


def test_a_killed_worker_is_followed_by_another_that_goes_on(tmp_path: Path, slow: bytes):
    with running_studio(tmp_path) as studio:
        ids = [studio.bring("ben", slow) for _ in range(3)]
        job = studio.job("ben", ids, "portrait")["id"]
        os.kill(running_pid(studio, job), signal.SIGKILL)
        all_done(studio.wait("ben", job), 3)


def test_a_killed_server_has_lost_nothing(tmp_path: Path, slow: bytes):
    with running_studio(tmp_path) as studio:
        ids = [studio.bring("ben", slow) for _ in range(3)]
        job = studio.job("ben", ids, "portrait")["id"]
        worker = running_pid(studio, job)
        half = studio.folder / "incoming" / f"{'0' * 32}.heliochrome-part"
        half.write_bytes(slow[:1000])
        studio.process.kill()
        studio.process.wait()
    with running_studio(tmp_path) as studio:
        all_done(studio.wait("ben", job), 3)
        assert not half.exists()
        assert not Path(f"/proc/{worker}").exists(), "the old worker has ended, too"
        for brought in ids:
            assert studio.ask("ben", "GET", f"/api/v1/photos/{brought}/original").body == slow


def test_a_studio_that_is_ended_in_good_order_puts_its_photograph_back(tmp_path: Path, slow: bytes):
    with running_studio(tmp_path) as studio:
        job = studio.job("ben", [studio.bring("ben", slow) for _ in range(2)], "portrait")["id"]
        running_pid(studio, job)
    with running_studio(tmp_path) as studio:
        all_done(studio.wait("ben", job), 2)


def test_a_photograph_that_kills_the_worker_again_and_again_is_left_alone(
    tmp_path: Path, slow: bytes, photo: bytes
):
    with running_studio(tmp_path) as studio:
        bad = studio.bring("ben", slow, "bad.jpg")
        job = studio.job("ben", [bad, studio.bring("ben", photo, "good.jpg")], "portrait")["id"]
        killed: set[int] = set()  # at which attempt

        def over() -> bool:
            found = studio.ask("ben", "GET", f"/api/v1/photos/{bad}").json
            pid, attempt = studio.worker_pid(), studio.attempts(bad)
            if found["state"] == "running" and pid is not None and attempt not in killed:
                killed.add(attempt)
                os.kill(pid, signal.SIGKILL)
            return found["state"] == "failed"

        studio.wait_until(over)
        found = studio.wait("ben", job)
        assert killed == {1, 2, 3}
        assert found["photos"][0]["error"]["code"] == "crashed"
        assert found["photos"][1]["state"] == "done"


def test_cancelling_stops_what_is_being_worked_on(tmp_path: Path, slow: bytes):
    with running_studio(tmp_path) as studio:
        job = studio.job("ben", [studio.bring("ben", slow) for _ in range(2)], "portrait")["id"]
        running_pid(studio, job)
        studio.ask("ben", "POST", f"/api/v1/jobs/{job}/cancel")
        found = studio.wait("ben", job)
        assert found["state"] == "cancelled"
        assert all(photo["error"] is None for photo in found["photos"])
        again = studio.ask("ben", "POST", f"/api/v1/jobs/{job}/retry")
        assert again.status == 200
        all_done(studio.wait("ben", job), 2)


def test_two_studios_do_not_share_a_folder(tmp_path: Path):
    with running_studio(tmp_path, start_worker=False) as studio:
        second = subprocess.run(
            [sys.executable, "-m", "heliochrome", "studio"],
            env=environment(tmp_path), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert second.returncode == 2
        assert "HELIOCHROME_STUDIO_FOLDER" in second.stderr
        assert studio.ask("ben", "GET", "/api/v1/me").status == 200


def test_owners_take_turns(tmp_path: Path, photo: bytes):
    with running_studio(tmp_path, start_worker=False) as studio:
        ben = studio.job("ben", [studio.bring("ben", photo) for _ in range(4)], "portrait")
        eve = studio.job("eve", [studio.bring("eve", photo)], "portrait")
        assert eve["photos"][0]["position"] == 2
        again = studio.ask("ben", "GET", f"/api/v1/jobs/{ben['id']}").json
        assert [one["position"] for one in again["photos"]] == [1, 3, 4, 5]


def test_a_full_disk_takes_nothing_half_and_works_again_when_there_is_room(
    tmp_path: Path, slow: bytes, photo: bytes
):
    with (
        small_disk(tmp_path / "small", kib=8192) as disk,
        running_studio(tmp_path, kept=disk, start_worker=False) as studio,
    ):
        kept = studio.bring("ben", photo)
        fill(disk / "filler")
        refused = studio.ask("ben", "POST", "/api/v1/photos?name=a.jpg", slow)
        assert refused.status == 507 and refused.json["error"]["code"] == "output_failed"
        assert list((disk / "incoming").iterdir()) == []
        assert len(list((disk / "photos").iterdir())) == 1
        job = studio.ask("ben", "POST", "/api/v1/jobs", {"photos": [kept], "preset": "auto"})
        assert job.status in (201, 507)
        (disk / "filler").unlink()
        assert studio.ask("ben", "GET", f"/api/v1/photos/{kept}/original").body == photo
        studio.bring("ben", slow)


def test_a_disk_that_is_full_when_the_result_is_written_fails_that_photograph_alone(
    tmp_path: Path, slow: bytes
):
    with (
        small_disk(tmp_path / "small", kib=12288) as disk,
        running_studio(tmp_path, kept=disk) as studio,
    ):
        brought = studio.bring("ben", slow)
        room = (disk / "room").open("wb")
        room.write(b"x" * (11 * 1024 * 1024 - 2 * len(slow)))
        room.flush()
        job = studio.job("ben", [brought], "portrait")["id"]
        found = studio.wait("ben", job)
        assert found["photos"][0]["error"]["code"] == "output_failed"
        assert str(disk) not in found["photos"][0]["error"]["message"]
        assert not list(disk.rglob("*heliochrome-part*"))
        room.close()
        (disk / "room").unlink()
        studio.ask("ben", "POST", f"/api/v1/jobs/{job}/retry")
        assert studio.wait("ben", job)["state"] == "done"
