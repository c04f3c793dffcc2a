"""The `heliochrome-gateway` command, run as a person runs it."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from login_server import PASSWORD, command, environment


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path)


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder with one user, "ada", and its environment."""
    folder = tmp_path_factory.mktemp("settled")
    environ = environment(folder)
    run(environ, "user", "add", "ada", "--role", "admin", "--stdin", stdin=PASSWORD)
    return folder, environ


def run(environ: dict[str, str], *args: str, stdin: str = "") -> str:
    done = command(environ, *args, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return done.stdout


def listed(environ: dict[str, str]) -> dict[str, str]:
    return {
        user["name"]: user["role"] for user in json.loads(run(environ, "user", "list", "--json"))
    }


def test_users_come_and_go_and_the_record_says_so(environ: dict[str, str]) -> None:
    assert listed(environ) == {}
    run(environ, "user", "add", "ada", "--role", "admin", "--stdin", stdin=f"{PASSWORD}\n")
    shown = run(environ, "user", "add", "ben", "--generate")
    made = re.search(r"shown only now: (\S{23})\n", shown)
    assert made
    token = run(environ, "token", "add", "ben").split()[0]
    assert token.startswith("heliochrome_")
    table = run(environ, "user", "list")
    token_id = re.search(r"ben +user +\d{4}-\d\d-\d\d +(\w{8}) ", table)
    assert token_id, table
    run(environ, "token", "remove", "ben", token_id[1])
    run(environ, "user", "passwd", "ben", "--stdin", stdin="another good one")
    assert listed(environ) == {"ada": "admin", "ben": "user"}
    run(environ, "user", "remove", "ben")
    assert listed(environ) == {"ada": "admin"}
    events = [json.loads(line) for line in run(environ, "audit", "tail").splitlines()]
    assert [(event["kind"], event["act"], event["subject"]) for event in events] == [
        ("admin", "add user", "ada"),
        ("admin", "add user", "ben"),
        ("admin", "add token", "ben"),
        ("admin", "remove token", "ben"),
        ("admin", "set password", "ben"),
        ("admin", "remove user", "ben"),
    ]
    assert "Whole: 6 lines" in run(environ, "audit", "verify")
    for secret in (PASSWORD, made[1], token):
        assert secret not in json.dumps(events)


@pytest.mark.parametrize(
    ("args", "stdin", "said"),
    [
        (["user", "add", "Ben", "--generate"], "", "a-z 0-9"),
        (["user", "add", "cy", "--stdin"], "short\n", "10 to 256 characters"),
        (["user", "add", "cy", "--stdin"], "", "10 to 256 characters"),
        (["user", "add", "cy"], "", "Give --stdin or --generate"),
        (["user", "add", "ada", "--generate"], "", "already"),
        (["user", "add", "cy", "--role", "root"], "", "invalid choice"),
        (["user", "passwd", "eve", "--generate"], "", "no user 'eve'"),
        (["user", "remove", "eve"], "", "no user 'eve'"),
        (["user", "remove", "ada"], "", "last admin"),
        (["token", "remove", "ada", "x"], "", "no token 'x'"),
        (["audit", "verify", "--holds", "x"], "", "--holds must be"),
        (["audit", "verify", "--folder", "/nowhere"], "", "no record in /nowhere"),
        (["user"], "", "required"),
        ([], "", "required"),
    ],
)
def test_what_cannot_be_done_is_told_and_leaves_no_trace(
    settled: tuple[Path, dict[str, str]], args: list[str], stdin: str, said: str
) -> None:
    folder, environ = settled
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = command(environ, *args, stdin=stdin)
    assert done.returncode == 2 and said in done.stderr and not done.stdout
    assert "Traceback" not in done.stderr
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(("again", "code"), [(PASSWORD, 0), (PASSWORD + "x", 2)])
def test_a_password_is_asked_for_twice_and_not_shown(
    environ: dict[str, str], again: str, code: int
) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "heliochrome_gateway", "user", "add", "ben"],
        stdin=theirs, stdout=theirs, stderr=theirs, env=environ, start_new_session=True,
    )  # fmt: skip
    seen = b""
    for prompt, answer in ((b"Password for ben: ", PASSWORD), (b"Once more: ", again)):
        while prompt not in seen:
            seen += os.read(ours, 1000)
        os.write(ours, f"{answer}\n".encode())
    assert process.wait(timeout=20) == code
    seen += os.read(ours, 4000)
    assert PASSWORD.encode() not in seen
    assert (b"may sign in" if code == 0 else b"differ") in seen
    os.close(ours)
    os.close(theirs)


def test_verify_tells_a_hand_from_a_power_cut(environ: dict[str, str], tmp_path: Path) -> None:
    for name in ("ada", "ben", "cy"):
        run(environ, "user", "add", name, "--role", "admin", "--generate")
    whole = run(environ, "audit", "verify")
    noted = re.search(r"The end is (3:[0-9a-f]{64})", whole)
    assert noted
    assert "Whole" in run(environ, "audit", "verify", "--holds", noted[1])
    (path,) = (tmp_path / "audit").glob("*.jsonl")
    content = path.read_bytes()
    path.write_bytes(content + b'{"seq":4')
    done = command(environ, "audit", "verify")
    assert done.returncode == 3 and "power cut" in done.stderr and "Whole: 3" in done.stdout
    path.write_bytes(content.replace(b"ben", b"eve"))
    done = command(environ, "audit", "verify")
    assert done.returncode == 1 and f"CHANGED: {path.name}, line 3" in done.stderr
    assert "Only the first 1 lines are proven" in done.stderr, "line 2 is the one that was changed"
    done = command(environ, "user", "add", "dee", "--generate")
    assert done.returncode == 0, "only the end is looked at to go on"


def test_tail_shows_the_newest_and_goes_on(environ: dict[str, str]) -> None:
    for name in ("ada", "ben"):
        run(environ, "user", "add", name, "--generate")
    assert len(run(environ, "audit", "tail", "-n", "1").splitlines()) == 1
    process = subprocess.Popen(
        [sys.executable, "-m", "heliochrome_gateway", "audit", "tail", "-f", "-n", "1"],
        stdout=subprocess.PIPE, text=True, env=environ,
    )  # fmt: skip
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["subject"] == "ben"
    run(environ, "user", "add", "cy", "--generate")
    assert json.loads(process.stdout.readline())["subject"] == "cy"
    process.terminate()
    process.wait()
    process.stdout.close()


def test_a_reader_who_goes_is_no_error(environ: dict[str, str]) -> None:
    run(environ, "user", "add", "ada", "--generate")
    done = subprocess.run(
        f"{sys.executable} -m heliochrome_gateway audit tail -f | true",
        shell=True, env=environ, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="needs to be root")
def test_root_leaves_files_that_the_gateways_user_can_read(
    environ: dict[str, str], tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    os.chown(own, 65534, 65534)
    for folder in (tmp_path, *list(tmp_path.parents)[:-2]):
        folder.chmod(0o755)
    environ["HELIOCHROME_GATEWAY_FOLDER"] = str(own)
    run(environ, "user", "add", "ada", "--generate")
    found = list(own.rglob("*"))
    assert len(found) >= 5 and {path.stat().st_uid for path in found} == {65534}


def test_help_names_every_command(environ: dict[str, str]) -> None:
    shown = run(environ, "--help")
    assert all(name in shown for name in ("serve", "user", "token", "audit"))
    began = time.monotonic()
    run(environ, "user", "list")
    assert time.monotonic() - began < 10
