"""What is deleted, and above all what is not: photographs cannot be taken again."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest
from running_studio import environment, running_studio

from heliochrome.studio.database import Database
from heliochrome.studio.jobs import Jobs
from heliochrome.studio.keeping import RESTORED, Keeping
from heliochrome.studio.outbox import Outbox
from heliochrome.studio.shelf import Shelf
from heliochrome.studio.upkeep import Expiry

DAY = 86_400.0
WEEK = 7 * DAY


class Keeper:
    """The studio's own parts, over the folder of a studio that has ended."""

    def __init__(self, folder: Path) -> None:
        self.base = Database(folder)
        self.shelf = Shelf(self.base, 10**8, 10**12)
        self.jobs, self.outbox = Jobs(self.base, self.shelf), Outbox(self.base)

    def expire(self, keep_s: float = WEEK) -> tuple[int, int]:
        before = time.time() - keep_s
        return self.jobs.expire(before), self.shelf.expire(before)


def test_what_was_over_long_ago_is_deleted_and_recorded(tmp_path: Path, photo: bytes):
    with running_studio(tmp_path) as studio:
        studio.bring("ben", photo)
        job = studio.job("ben", [studio.bring("ben", photo)], "portrait")["id"]
        studio.wait("ben", job)
    keeper = Keeper(studio.folder)
    assert keeper.expire() == (0, 0)
    studio.age(days=8)
    # A machine that was off deletes nothing at once.
    with running_studio(tmp_path) as studio:
        assert studio.ask("ben", "GET", f"/api/v1/jobs/{job}").json["state"] == "done"
    assert keeper.expire() == (1, 1)
    assert list((studio.folder / "photos").iterdir()) == []
    events = [event["facts"] for event in keeper.outbox.events()]
    assert [facts for facts in events if facts["kind"] == "delete"] == [
        {"kind": "delete", "job": job, "photos": 1, "reason": "expired"},
        {"kind": "delete", "file": "photo.jpg", "reason": "expired"},
    ]


def test_what_was_restored_is_kept_as_long_as_what_is_new(tmp_path: Path, photo: bytes):
    with running_studio(tmp_path) as studio:
        job = studio.job("ben", [studio.bring("ben", photo)], "portrait")["id"]
        studio.wait("ben", job)
    studio.age(days=300)
    (studio.folder / RESTORED).touch()
    with running_studio(tmp_path) as studio:
        for shown in (
            studio.ask("ben", "GET", f"/api/v1/jobs/{job}").json,
            studio.ask("ben", "GET", "/api/v1/jobs").json["jobs"][0],
        ):
            kept = datetime.fromisoformat(shown["expires"]) - datetime.now(timezone.utc)
            assert 6.9 < kept.total_seconds() / DAY <= 7


@pytest.mark.parametrize(
    ("now", "over", "until"),
    [(100, 90, 97), (100, 95, 102), (106, 90, 97), (200, 99, 106)],
)
@pytest.mark.parametrize("since", [0, 80, 90, 98, 300])
def test_what_has_expired_is_what_is_not_kept_any_more(
    now: float, over: float, until: float, since: float
):
    keeping = Keeping(7, since)
    assert keeping.until(over) == max(until, since + 7 if over < since else 0)
    before = keeping.expired(now)
    assert (before is not None and over < before) == (keeping.until(over) < now)


def test_a_result_is_kept_from_when_it_was_made_and_work_to_come_for_ever(
    tmp_path: Path, photo: bytes
):
    with running_studio(tmp_path, start_worker=False) as studio:
        job = studio.job("ben", [studio.bring("ben", photo)], "portrait")
        assert job["expires"] is None
    studio.age(days=30)
    assert Keeper(studio.folder).expire() == (0, 0)
    with running_studio(tmp_path) as studio:
        done = studio.wait("ben", job["id"])
        assert done["expires"] > done["created"]
    assert Keeper(studio.folder).expire() == (0, 0), "it has just been made"


@pytest.mark.parametrize("name", ["photos", "incoming"])
def test_a_folder_of_somebody_elses_is_not_touched(tmp_path: Path, name: str):
    album = tmp_path / "archive" / name / "1931-wedding"
    album.mkdir(parents=True)
    (album / "scan001.tif").write_bytes(b"the only one")
    environ = {**environment(tmp_path), "HELIOCHROME_STUDIO_FOLDER": str(tmp_path / "archive")}
    done = subprocess.run(
        [sys.executable, "-m", "heliochrome", "studio"],
        env=environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "HELIOCHROME_STUDIO_FOLDER" in done.stderr
    assert (album / "scan001.tif").read_bytes() == b"the only one"


def test_a_lost_database_deletes_no_photograph(tmp_path: Path, photo: bytes):
    with running_studio(tmp_path, start_worker=False) as studio:
        brought = studio.bring("ben", photo)
    for path in studio.folder.glob("studio.sqlite*"):
        path.unlink()
    done = subprocess.run(
        [sys.executable, "-m", "heliochrome", "studio"],
        env=environment(tmp_path), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and "backup" in done.stderr
    assert (studio.folder / "photos" / brought / "original.jpg").read_bytes() == photo


def test_what_an_older_database_does_not_know_is_put_aside(tmp_path: Path, photo: bytes):
    with running_studio(tmp_path, start_worker=False) as studio:
        brought = studio.bring("ben", photo)
    base = Database(studio.folder)
    base.change("DELETE FROM photos")
    base.close()
    (studio.folder / "photos" / "not ours").mkdir()
    (studio.folder / "incoming" / "not-ours.tif").write_bytes(b"x")
    (studio.folder / "incoming" / f"{'a' * 32}.heliochrome-part").write_bytes(b"half")
    with running_studio(tmp_path, start_worker=False):
        pass
    assert (studio.folder / "found" / brought / "original.jpg").read_bytes() == photo
    assert (studio.folder / "photos" / "not ours").is_dir()
    assert [path.name for path in (studio.folder / "incoming").iterdir()] == ["not-ours.tif"]
    keeper = Keeper(studio.folder)
    keeper.expire()
    assert (studio.folder / "found" / brought).is_dir(), "not before its time"
    keeper.expire(keep_s=-60)
    assert not (studio.folder / "found" / brought).exists()


@pytest.mark.parametrize(
    ("steps", "deletes"),
    [
        ([(0, 0)], False),
        ([(DAY - 60, DAY - 60)], False),
        ([(DAY + 60, DAY + 60)], True),
        # The date jumps by a year: nothing, until it has been so for a day.
        ([(DAY + 60, DAY + 60), (366 * DAY, DAY + 120)], False),
        ([(DAY + 60, DAY + 60), (366 * DAY, DAY + 120), (367.1 * DAY, 2.1 * DAY + 120)], True),
        # Summer time and small corrections are no jumps.
        ([(DAY + 60, DAY + 60), (DAY + 1000, DAY + 120)], True),
    ],
)
def test_nothing_expires_soon_after_a_start_or_a_jump_of_the_clock(
    steps: list[tuple[float, float]], deletes: bool
):
    now = [1e9, 5.0]
    expiry = Expiry(Keeping(WEEK), clock=lambda: now[0], uptime=lambda: now[1])
    for wall, up in steps:
        now[:] = [1e9 + wall, 5.0 + up]
        before = expiry.before()
    assert (before is not None) == deletes
    assert before is None or before == now[0] - WEEK
