from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from heliochrome_gateway.errors import StorageFailed
from heliochrome_gateway.sessions import Sessions
from heliochrome_gateway.users import User

BEN = User("ben", "user", "hash", "g1", "2026-11-21")
IDLE, LONGEST = 100.0, 1000.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sub" / "sessions.sqlite"


@pytest.fixture
def sessions(path: Path, clock: Clock) -> Sessions:
    return Sessions(path, IDLE, LONGEST, clock)


def test_a_session_is_found_by_its_id_alone(sessions: Sessions) -> None:
    ids = {sessions.begin(BEN) for _ in range(5)}
    assert len(ids) == 5 and all(len(session_id) == 43 for session_id in ids)
    for session_id in ids:
        found = sessions.find(session_id)
        assert found is not None and (found.name, found.generation) == ("ben", "g1")
        for wrong in (session_id[:-1], session_id.swapcase(), f"{session_id} ", "", "\udcff"):
            assert sessions.find(wrong) is None


def test_a_session_ends_when_idle(sessions: Sessions, clock: Clock) -> None:
    session_id = sessions.begin(BEN)
    for _ in range(5):
        clock.now += IDLE - 1
        assert sessions.find(session_id)
    clock.now += IDLE
    assert sessions.find(session_id) is None


def test_a_session_ends_at_last_however_it_is_used(sessions: Sessions, clock: Clock) -> None:
    session_id = sessions.begin(BEN)
    for _ in range(19):
        clock.now += 50
        assert sessions.find(session_id)
    clock.now += 50
    assert sessions.find(session_id) is None


def test_looking_is_no_use(sessions: Sessions, clock: Clock) -> None:
    session_id = sessions.begin(BEN)
    for _ in range(3):
        clock.now += 30
        assert sessions.find(session_id, use=False)
    clock.now += 30
    assert sessions.find(session_id) is None


def test_a_session_outlives_its_process_and_is_shared(
    sessions: Sessions, path: Path, clock: Clock
) -> None:
    session_id = sessions.begin(BEN)
    other = Sessions(path, IDLE, LONGEST, clock)
    assert other.find(session_id)
    other.end(session_id)
    assert sessions.find(session_id) is None
    kept = sessions.begin(BEN)
    sessions.close()
    assert other.find(kept)
    other.close()


def test_only_digests_are_kept_for_the_owner_alone(sessions: Sessions, path: Path) -> None:
    ids = [sessions.begin(BEN) for _ in range(3)]
    files = list(path.parent.iterdir())
    assert len(files) == 3, "the base, its log and its index"
    for file in files:
        assert file.stat().st_mode & 0o777 == 0o600
        assert not any(session_id.encode() in file.read_bytes() for session_id in ids)


def test_a_user_has_twenty_and_the_one_unused_for_longest_ends(
    sessions: Sessions, clock: Clock
) -> None:
    ids = []
    for _ in range(20):
        clock.now += 1
        ids.append(sessions.begin(BEN))
    clock.now += 40
    assert sessions.find(ids[0])
    sessions.begin(BEN)
    assert sessions.find(ids[0]) and not sessions.find(ids[1]) and sessions.find(ids[2])


def test_ended_sessions_do_not_pile_up(sessions: Sessions, path: Path, clock: Clock) -> None:
    for number in range(30):
        clock.now += 60
        sessions.begin(User(f"user{number}", "user", "h", "g", "d"))
    with sqlite3.connect(path) as base:
        assert base.execute("SELECT count(*) FROM sessions").fetchone() == (2,)


def test_a_damaged_base_is_told(path: Path, clock: Clock) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database" * 1000)
    with pytest.raises(StorageFailed, match="remove it"):
        Sessions(path, IDLE, LONGEST, clock)


def test_who_is_signed_in_stays_so_where_nothing_can_be_written(
    sessions: Sessions, path: Path, clock: Clock
) -> None:
    session_id = sessions.begin(BEN)
    sessions._base.execute("PRAGMA query_only = 1")  # what a full disk does to writing
    clock.now += 50
    assert sessions.find(session_id)
    with pytest.raises(StorageFailed, match="Free some room"):
        sessions.begin(BEN)
