from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from login_server import AUTH

from heliochrome_gateway.errors import BadAccount, StorageFailed
from heliochrome_gateway.identity import Identity
from heliochrome_gateway.tokens import new_token, token_digest
from heliochrome_gateway.users import Users


@pytest.fixture
def users(tmp_path: Path) -> Users:
    made = Users(tmp_path / "sub" / "users.json")
    made.add("ada", "admin", "hash of ada", "2026-11-21")
    made.add("ben", "user", "hash of ben", "2026-11-21")
    return made


def test_who_was_added_is_there_for_another_reader(users: Users, tmp_path: Path) -> None:
    other = Users(tmp_path / "sub" / "users.json")
    assert other.all() == users.all()
    ben = other.find("ben")
    assert ben is not None and ben.identity == Identity("ben", "user")
    assert other.find("Ben") is other.find("") is other.find("eve") is None
    folder = tmp_path / "sub"
    assert (folder / "users.json").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert not list(folder.glob("*.part"))


def test_a_change_by_another_is_seen_at_once(users: Users, tmp_path: Path) -> None:
    other = Users(tmp_path / "sub" / "users.json")
    assert users.find("cy") is None
    other.add("cy", "viewer", "h", "2026-11-21")
    assert users.find("cy") is not None
    other.remove("cy")
    assert users.find("cy") is None
    (tmp_path / "sub" / "users.json").unlink()
    assert users.find("ada") is None and users.all() == ()


def test_another_password_is_another_generation_and_a_dearer_hash_is_not(users: Users) -> None:
    ben = users.existing("ben")
    users.renew_hash(ben, "dearer")
    assert users.existing("ben").hash == "dearer"
    assert users.existing("ben").generation == ben.generation
    users.renew_hash(ben, "late")
    assert users.existing("ben").hash == "dearer", "it was changed meanwhile"
    users.set_password("ben", "new")
    assert users.existing("ben").hash == "new"
    assert users.existing("ben").generation != ben.generation
    assert users.existing("ada").hash == "hash of ada"


def test_a_token_leads_to_its_user_and_is_not_kept(users: Users, tmp_path: Path) -> None:
    text, token = new_token("2026-11-21")
    users.add_token("ben", token)
    found = users.find_by_token(token_digest(text))
    assert found is not None and found.name == "ben"
    assert text not in (tmp_path / "sub" / "users.json").read_text()
    assert users.find_by_token(text) is None
    users.remove_token("ben", token.id)
    assert users.find_by_token(token_digest(text)) is None


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda u: u.add("ben", "user", "h", "d"), "'ben' already"),
        (lambda u: u.add("cy", "user", "h", "d", first=True), "a user 'ada' already"),
        (lambda u: u.add("cy", "root", "h", "d"), "admin, user, viewer, got 'root'"),
        (lambda u: u.remove("ada"), "the last admin"),
        (lambda u: u.remove("eve"), "no user 'eve'"),
        (lambda u: u.set_password("eve", "h"), "no user 'eve'"),
        (lambda u: u.remove_token("ben", "x"), "no token 'x'"),
        *[
            (lambda u, name=name: u.add(name, "user", "h", "d"), "a-z 0-9")
            for name in ("", "Ben", "a b", "../x", ".a", "a.", "-a", "a/b", "a\n", "é", "x" * 33)
        ],
    ],
)
def test_what_cannot_be_done_is_not_and_says_why(
    users: Users, act: Callable[[Users], Any], said: str
) -> None:
    before = users.all()
    with pytest.raises(BadAccount, match=said):
        act(users)
    assert users.all() == before


@pytest.mark.parametrize("name", ["a", "9", "a.b-c_d", "x" * 32])
def test_a_plain_name_is_good(users: Users, name: str) -> None:
    assert users.add(name, "user", "h", "d").name == name


GOOD = {"name": "ada", "role": "admin", "hash": "h", "generation": "g", "created": "d"}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"version": 9, "users": []}',
        '{"version": 1, "users": [{}]}',
        '{"version": 1, "users": 3}',
        json.dumps({"version": 1, "users": [{**GOOD, "tokens": None}]}),
        json.dumps({"version": 1, "users": [{**GOOD, "tokens": [], "role": "root"}]}),
        json.dumps({"version": 1, "users": [{**GOOD, "tokens": [], "hash": None}]}),
        json.dumps({"version": 1, "users": [{**GOOD, "tokens": [], "more": 1}]}),
        "\xff",
    ],
)
def test_a_damaged_file_lets_nobody_in_and_is_not_written_over(
    users: Users, tmp_path: Path, content: str
) -> None:
    path = tmp_path / "sub" / "users.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(StorageFailed, match="restored from a copy"):
        users.find("ada")
    with pytest.raises(StorageFailed, match="restored from a copy"):
        users.add("cy", "user", "h", "d")
    assert path.read_bytes() == content.encode("latin-1")


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_not_believed(
    users: Users, tmp_path: Path, mode: int
) -> None:
    path = tmp_path / "sub" / "users.json"
    path.chmod(mode)
    with pytest.raises(StorageFailed, match="chmod 600"):
        Users(path).all()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailed, match="HELIOCHROME_GATEWAY_FOLDER"):
        Users(tmp_path / "file" / "users.json").add("ada", "admin", "h", "d")


ADDING = """
import sys
from pathlib import Path
from heliochrome_gateway.users import Users
for n in range(10):
    Users(Path(sys.argv[1])).add(f"{sys.argv[2]}{n}", "user", "h", "d")
"""


def test_processes_that_add_at_the_same_time_lose_nobody(users: Users, tmp_path: Path) -> None:
    path = tmp_path / "sub" / "users.json"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ADDING, str(path), name],
            env={**os.environ, "PYTHONPATH": str(AUTH)},
        )
        for name in "pqr"
    ]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    assert len(users.all()) == 2 + 30
