"""The record: every change is found, and a power cut is not taken for one."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from login_server import AUTH

from heliochrome_gateway import audit_files
from heliochrome_gateway.audit import AuditLog
from heliochrome_gateway.audit_events import KINDS
from heliochrome_gateway.audit_files import BEGINNING, Head, read_head
from heliochrome_gateway.audit_verify import verify
from heliochrome_gateway.errors import StorageFailed
from waiting import eventually

FILE_BYTES = 4096
WRITER = """
import sys
from pathlib import Path
from heliochrome_gateway.audit import AuditLog
log = AuditLog(Path(sys.argv[1]), 4096)
print("ready", flush=True)
for n in range(int(sys.argv[2])):
    log.append(sys.argv[3], user=sys.argv[4])
log.close()
"""


def written(folder: Path, count: int = 60) -> list[Path]:
    """A record of `count` lines in several files."""
    log = AuditLog(folder, FILE_BYTES)
    for number in range(count):
        log.append("run", user="ben", job=f"job {number}", nodes=3, outcome="done")
    log.close()
    return [path for _, path in audit_files.files(folder)]


def count_lines(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for _, path in audit_files.files(folder))


def writer(folder: Path, count: int, kind: str = "run", user: str = "ben") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(count), kind, user],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(AUTH)},
    )


def test_each_line_holds_the_hash_of_the_one_before_across_files(tmp_path: Path) -> None:
    files = written(tmp_path)
    assert len(files) > 2 and all(path.stat().st_size < FILE_BYTES + 300 for path in files)
    lines = b"".join(path.read_bytes() for path in files).splitlines()
    before = BEGINNING
    for number, line in enumerate(lines, 1):
        entry = json.loads(line)
        assert (entry["seq"], entry["before"]) == (number, before)
        before = hashlib.sha256(line).hexdigest()
    assert verify(tmp_path).end == Head(60, before)
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_a_line_says_when_who_what_and_where_from(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, FILE_BYTES, now=lambda: "2026-11-21T17:00:00.000Z")
    log.append("login", user="ben", address="192.0.2.1", method="page", token=None)
    log.close()
    (path,) = [path for _, path in audit_files.files(tmp_path)]
    assert json.loads(path.read_text()) == {
        "seq": 1,
        "time": "2026-11-21T17:00:00.000Z",
        "kind": "login",
        "user": "ben",
        "address": "192.0.2.1",
        "method": "page",
        "before": BEGINNING,
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fact", ["prompt", "password", "image", "text", "seq"])
def test_there_is_no_name_for_what_must_not_be_recorded(
    tmp_path: Path, kind: str, fact: str
) -> None:
    log = AuditLog(tmp_path, FILE_BYTES)
    with pytest.raises(ValueError, match=fact):
        log.append(kind, **{fact: "a secret"})
    log.close()
    assert verify(tmp_path).end.seq == 0


def test_a_line_is_bounded_and_stays_one_line(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, 1 << 20)
    names = ["x" * 100_000, 'a\nb\r\n\u2028"}', "\udcff", "字" * 1000]
    for name in names:
        log.append("upload", user="ben", file=name)
    log.append("run", models=["m" * 1000] * 1000)
    log.close()
    (path,) = [path for _, path in audit_files.files(tmp_path)]
    lines = path.read_bytes().splitlines()
    assert len(lines) == 5 and max(map(len, lines)) < 25_000
    assert json.loads(lines[1])["file"] == names[1]
    assert verify(tmp_path).tampering is None


# Each hand does one thing to a record of 60 lines in several files, and verify names the place.


def _edit(path: Path, change: Callable[[list[bytes]], object]) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    change(lines)
    path.write_bytes(b"".join(lines))


def _swap(lines: list[bytes]) -> None:
    lines[3], lines[4] = lines[4], lines[3]


def _rewritten(folder: Path, files: list[Path]) -> None:
    """All is made anew, also the hashes; only the mark of the end is left."""
    before = BEGINNING
    for path in files:
        lines = []
        for line in path.read_bytes().splitlines():
            entry = {**json.loads(line), "before": before, "user": "eve"}
            made = json.dumps(entry).encode()
            before = hashlib.sha256(made).hexdigest()
            lines.append(made + b"\n")
        path.write_bytes(b"".join(lines))


HANDS: dict[str, tuple[Callable[[Path, list[Path]], object], str]] = {
    "a user's name": (
        lambda _, f: f[0].write_bytes(f[0].read_bytes().replace(b"ben", b"eve", 1)),
        "line 2: does not continue line 1",
    ),
    "a line removed": (
        lambda _, f: _edit(f[0], lambda lines: lines.pop(3)), "line 4: has the number 5"
    ),
    "two lines swapped": (lambda _, f: _edit(f[0], _swap), "line 4: has the number 5"),
    "a line twice": (
        lambda _, f: _edit(f[0], lambda lines: lines.insert(3, lines[2])),
        "line 4: has the number 3",
    ),
    "a line made up": (
        lambda _, f: _edit(f[0], lambda lines: lines.insert(3, b'{"seq":4,"before":"x"}\n')),
        "line 4: does not continue line 3",
    ),
    "no JSON": (
        lambda _, f: _edit(f[0], lambda lines: lines.insert(3, b"\n")),
        "line 4: is not a line of the record",
    ),
    "the first line": (lambda _, f: _edit(f[0], lambda lines: lines.pop(0)), "line 1: has the"),
    "the last line": (lambda _, f: _edit(f[-1], lambda lines: lines.pop()), "lines 60 to 60 were"),
    "the last line's text": (
        lambda _, f: f[-1].write_bytes(
            f[-1].read_bytes()[::-1].replace(b"enod", b"liaf", 1)[::-1]
        ),
        "was changed",
    ),
    "the end of a middle file": (
        lambda _, f: _edit(f[1], lambda lines: lines.pop()), "a file was removed"
    ),
    "half a line in a middle file": (
        lambda _, f: f[1].write_bytes(f[1].read_bytes()[:-30]), "is cut off"
    ),
    "half of the last line": (
        lambda _, f: f[-1].write_bytes(f[-1].read_bytes()[:-30]), "is cut off"
    ),
    "the first file": (lambda _, f: f[0].unlink(), "begins with line"),
    "a middle file": (lambda _, f: f[1].unlink(), "a file was removed"),
    "the last file": (lambda _, f: f[-1].unlink(), "to 60 were removed"),
    "all files": (lambda _, f: list(map(Path.unlink, f)), "was removed"),
    "the mark": (lambda d, f: (d / "head").unlink(), "mark of its end, was removed"),
    "nonsense as the mark": (lambda d, f: (d / "head").write_text("60 x"), "mark of its end"),
    "all from the start": (_rewritten, "was changed"),
}  # fmt: skip


@pytest.mark.parametrize("hand", HANDS)
def test_a_hand_in_the_record_is_found_and_the_place_named(tmp_path: Path, hand: str) -> None:
    files = written(tmp_path)
    assert verify(tmp_path).tampering is None
    change, place = HANDS[hand]
    change(tmp_path, files)
    verdict = verify(tmp_path)
    assert verdict.damage is None and place in str(verdict.tampering), str(verdict)
    assert verdict.end.seq < 60


def test_every_byte_counts(tmp_path: Path) -> None:
    files = written(tmp_path, 5)
    content = files[0].read_bytes()
    for offset in range(0, len(content), 7):
        changed = bytes([content[offset] ^ 1])
        files[0].write_bytes(content[:offset] + changed + content[offset + 1 :])
        assert verify(tmp_path).tampering, offset


def test_a_record_rewritten_with_its_mark_does_not_hold_what_was_noted(tmp_path: Path) -> None:
    files = written(tmp_path)
    noted = verify(tmp_path).end
    _rewritten(tmp_path, files)
    last = hashlib.sha256(files[-1].read_bytes().splitlines()[-1]).hexdigest()
    audit_files.write_head(tmp_path, Head(60, last))
    assert verify(tmp_path).tampering is None, "nothing inside the folder can tell"
    assert "was changed" in str(verify(tmp_path, holds=noted).tampering)
    with_more = written(tmp_path, 5)
    assert verify(tmp_path, holds=Head(65, verify(tmp_path).end.sha256)).tampering is None
    assert "removed" in str(verify(tmp_path, holds=Head(99, noted.sha256)).tampering), with_more


def test_archived_files_are_missed_unless_the_operator_says_so(tmp_path: Path) -> None:
    files = written(tmp_path)
    files[0].unlink()
    first = int(files[1].stem.removeprefix("audit-"))
    assert "a file was removed" in str(verify(tmp_path).tampering)
    assert verify(tmp_path, first).tampering is None
    assert verify(tmp_path, first + 1).tampering is not None


@pytest.mark.parametrize("rest", [b'{"seq":61,"ti', b"\0" * 4096, b"\xff\n", b'{"seq":61}\n{'])
def test_what_a_power_cut_leaves_is_told_apart_and_repaired(tmp_path: Path, rest: bytes) -> None:
    files = written(tmp_path)
    with files[-1].open("ab") as file:
        file.write(rest)
    verdict = verify(tmp_path)
    assert verdict.tampering is None and verdict.damage is not None and verdict.end.seq == 60
    log = AuditLog(tmp_path, FILE_BYTES)
    log.append("start")
    log.close()
    verdict = verify(tmp_path)
    assert (verdict.tampering, verdict.damage, verdict.end.seq) == (None, None, 62)
    repair = json.loads(audit_files.files(tmp_path)[-1][1].read_bytes().splitlines()[-2])
    assert repair["kind"] == "repair" and repair["dropped_bytes"] == len(rest)
    assert repair["dropped_sha256"] == hashlib.sha256(rest).hexdigest()


def test_lines_lost_in_a_power_cut_are_no_tampering_but_only_unmarked_ones(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, FILE_BYTES)
    log.append("login", user="ben", method="page")
    for _ in range(5):
        log.append("download", user="ben", file="a.png")
    (path,) = [path for _, path in audit_files.files(tmp_path)]
    content = path.read_bytes()
    assert read_head(tmp_path) == Head(1, hashlib.sha256(content.splitlines()[0]).hexdigest())
    path.write_bytes(b"".join(content.splitlines(keepends=True)[:3]))
    assert verify(tmp_path).tampering is None
    path.write_bytes(b"")
    assert "lines 1 to 1 were removed" in str(verify(tmp_path).tampering)


@pytest.mark.parametrize("gone", ["lines", "file"])
def test_a_writer_goes_no_further_where_lines_are_gone(tmp_path: Path, gone: str) -> None:
    files = written(tmp_path, 5)
    log = AuditLog(tmp_path, FILE_BYTES)
    if gone == "lines":
        files[0].write_bytes(b"".join(files[0].read_bytes().splitlines(keepends=True)[:3]))
    else:
        files[0].unlink()
    with pytest.raises(StorageFailed, match="audit verify"):
        log.append("start")
    with pytest.raises(StorageFailed, match="audit verify"):
        AuditLog(tmp_path, FILE_BYTES)


def test_no_writer_goes_on_after_a_last_line_that_was_changed(tmp_path: Path) -> None:
    (file,) = written(tmp_path, 3)
    file.write_bytes(file.read_bytes().replace(b"job 2", b"job 9"))
    with pytest.raises(StorageFailed, match="audit verify"):
        AuditLog(tmp_path, FILE_BYTES)


def test_an_older_mark_hides_nothing_in_files_that_others_follow(tmp_path: Path) -> None:
    files = written(tmp_path)
    third = hashlib.sha256(files[0].read_bytes().splitlines()[2]).hexdigest()
    audit_files.write_head(tmp_path, Head(3, third))
    assert verify(tmp_path).tampering is None
    files[1].write_bytes(files[1].read_bytes().replace(b"ben", b"eve", 1))
    verdict = verify(tmp_path)
    assert verdict.damage is None
    assert f"{files[1].name}, line 2: does not continue" in str(verdict.tampering)


def test_no_writer_begins_without_the_mark_of_the_end(tmp_path: Path) -> None:
    written(tmp_path, 5)
    (tmp_path / "head").unlink()
    with pytest.raises(StorageFailed, match="audit verify"):
        AuditLog(tmp_path, FILE_BYTES)


def test_processes_write_one_record_together(tmp_path: Path) -> None:
    kinds = ("run", "stop", "run")
    processes = [writer(tmp_path, 40, kind, f"user{n}") for n, kind in enumerate(kinds)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    assert verify(tmp_path).end.seq == 120 and verify(tmp_path).tampering is None
    lines = b"".join(path.read_bytes() for _, path in audit_files.files(tmp_path)).splitlines()
    users = [json.loads(line)["user"] for line in lines]
    assert [users.count(f"user{n}") for n in range(3)] == [40, 40, 40]


@pytest.mark.parametrize("kind", ["run", "stop"])
def test_a_killed_writer_leaves_a_whole_record(tmp_path: Path, kind: str) -> None:
    for delay in (0.0, 0.05):
        before = count_lines(tmp_path)
        process = writer(tmp_path, 1_000_000, kind)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        assert eventually(lambda before=before: count_lines(tmp_path) > before + 2)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert verify(tmp_path).tampering is None
    end = verify(tmp_path).end.seq
    AuditLog(tmp_path, FILE_BYTES).close()
    assert verify(tmp_path).end.seq >= end


FULL = """
import resource, signal, sys
from pathlib import Path
from heliochrome_gateway.audit import AuditLog
from heliochrome_gateway.errors import StorageFailed
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = AuditLog(Path(sys.argv[1]), 1 << 20)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
for number in range(1000):
    try:
        log.append("run", user="ben", job=f"job {number}")
    except StorageFailed as error:
        print(number, error)
        break
"""


def test_a_full_disk_refuses_the_event_and_harms_none_before(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, timeout=30,
        env={**os.environ, "PYTHONPATH": str(AUTH)}, check=True,
    )  # fmt: skip
    number, _, message = done.stdout.partition(" ")
    assert str(tmp_path) in message and "Free some room" in message
    verdict = verify(tmp_path)
    assert (verdict.tampering, verdict.damage) == (None, None)
    assert verdict.end.seq == int(number) > 10


def test_a_copy_is_verified_where_nothing_can_be_written(tmp_path: Path) -> None:
    written(tmp_path / "record")
    (tmp_path / "record" / audit_files.LOCK).unlink()
    (tmp_path / "record" / audit_files.LOCK).mkdir()  # so that the lock cannot be had
    assert verify(tmp_path / "record").end.seq == 60
    with pytest.raises(StorageFailed, match="no record"):
        verify(tmp_path / "nothing")
