"""Whose turn it is, as a table: owners take turns, and a job keeps its order."""

from __future__ import annotations

from pathlib import Path

import pytest

from heliochrome.studio.database import Database
from heliochrome.studio.queue import Queue

# Each photograph: owner, job (made in the order of its letter), place in it, began (0: waits).
CASES = {
    "a job keeps its order, whatever was uploaded first": (
        ["ben a 1 0", "ben a 0 0", "ben a 2 0"], [1, 0, 2],
    ),
    "the older job first": (["ben b 0 0", "ben a 0 0"], [1, 0]),
    "owners take turns": (["ben a 0 0", "ben a 1 0", "eve b 0 0", "eve b 1 0"], [0, 2, 1, 3]),
    "who was served longest ago goes first": (
        ["ben a 0 0", "eve b 0 0", "ben c 0 9", "eve d 0 5"], [1, 0],
    ),
    "who has never been served goes before": (["ben a 0 0", "ben b 0 9", "eve c 0 0"], [2, 0]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_turns(tmp_path: Path, case: str) -> None:
    rows, expected = CASES[case]
    base = Database(tmp_path)
    for number, row in enumerate(rows):
        owner, job, place, began = row.split()
        base.change(
            "INSERT OR IGNORE INTO jobs (id, owner, preset, preview, created) "
            "VALUES (?, ?, 'auto', 0, ?)",
            *(job, owner, ord(job)),
        )
        base.change(
            "INSERT INTO photos (id, owner, name, stored, bytes, sha256, format, width, height, "
            "uploaded, state, job, place, began) VALUES (?, ?, '', '', 1, '', 'png', 1, 1, 0, "
            "?, ?, ?, ?)",
            *(str(number), owner, "queued" if began == "0" else "done", job, place, int(began)),
        )
    queue = Queue(base, clock=lambda: 10.0)
    positions = queue.positions()
    assert sorted(positions, key=positions.__getitem__) == [str(number) for number in expected]
    taken = queue.next()
    assert taken is not None and taken[0].id == str(expected[0]) and taken[0].attempts == 1
    base.close()
