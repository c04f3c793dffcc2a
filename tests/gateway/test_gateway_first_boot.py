from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from login_server import AUTH, CHEAP

from heliochrome_gateway.audit import AuditLog
from heliochrome_gateway.errors import BadAccount, BadSetting, GatewayError
from heliochrome_gateway.first_boot import ensure_user, make_password
from heliochrome_gateway.passwords import Passwords, require_good
from heliochrome_gateway.settings import GatewaySettings
from heliochrome_gateway.users import Users

GIVEN = "a password of the operator"


def boot(folder: Path, environ: dict[str, str]) -> str | None:
    settings = settings_of(folder)
    audit = AuditLog(settings.audit_path, settings.audit_file_bytes)
    try:
        return ensure_user(settings, audit, environ)
    finally:
        audit.close()


def settings_of(folder: Path) -> GatewaySettings:
    return GatewaySettings.from_environ({**CHEAP, "HELIOCHROME_GATEWAY_FOLDER": str(folder)})


def is_password(folder: Path, password: str) -> bool:
    async def check() -> bool:
        passwords = Passwords(settings_of(folder))
        try:
            return await passwords.verify(users(folder).existing("admin").hash, password)
        finally:
            passwords.close()

    return asyncio.run(check())


def users(folder: Path) -> Users:
    return Users(folder / "users.json")


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_the_first_start_makes_a_password_and_keeps_only_its_hash(tmp_path: Path) -> None:
    made = boot(tmp_path, {})
    assert made is not None and is_password(tmp_path, made)
    assert made.encode() not in everything(tmp_path)
    assert users(tmp_path).existing("admin").role == "admin"
    before = users(tmp_path).all()
    assert boot(tmp_path, {}) is None
    assert boot(tmp_path, {"HELIOCHROME_PASSWORD": GIVEN}) is None
    assert users(tmp_path).all() == before
    assert everything(tmp_path / "audit").count(b'"first user"') == 1


@pytest.mark.parametrize("way", ["variable", "file", "file without a line break"])
def test_the_operators_password_is_taken_and_not_shown(tmp_path: Path, way: str) -> None:
    if way == "variable":
        environ = {"HELIOCHROME_PASSWORD": GIVEN}
    else:
        file = tmp_path / "secret"
        file.write_text(GIVEN if "without" in way else f"{GIVEN}\n")
        environ = {"HELIOCHROME_PASSWORD_FILE": str(file)}
    assert boot(tmp_path / "own", environ) is None
    assert is_password(tmp_path / "own", GIVEN)
    assert GIVEN.encode() not in everything(tmp_path / "own")


@pytest.mark.parametrize(
    ("environ", "error"),
    [
        ({"HELIOCHROME_PASSWORD": "short"}, BadAccount),
        ({"HELIOCHROME_PASSWORD": "administrator", "HELIOCHROME_PASSWORD_FILE": "x"}, BadSetting),
        ({"HELIOCHROME_PASSWORD_FILE": "/nowhere"}, BadSetting),
        ({"HELIOCHROME_PASSWORD_FILE": "/dev/null"}, BadSetting),
    ],
)
def test_without_a_good_password_there_is_no_start_and_no_user(
    tmp_path: Path, environ: dict[str, str], error: type[GatewayError]
) -> None:
    with pytest.raises(error):
        boot(tmp_path, environ)
    assert users(tmp_path).all() == ()


def test_passwords_made_here_are_good_and_never_the_same() -> None:
    made = {make_password() for _ in range(200)}
    assert len(made) == 200 and {len(password) for password in made} == {23}
    for password in made:
        require_good(password)
        assert not set(password) & set("il1o0")


AS_NOBODY = """
import os, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
import test_gateway_first_boot as tests
from heliochrome_gateway.errors import StorageFailed
os.setgid(65534)
os.setuid(65534)
try:
    tests.boot(Path(sys.argv[1]), {})
except StorageFailed as error:
    print(error)
"""


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="needs to become nobody")
def test_a_folder_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    for folder in (tmp_path, *list(tmp_path.parents)[:-2]):
        folder.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, tmp_path, Path(__file__).parent, AUTH],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert "HELIOCHROME_GATEWAY_FOLDER" in done.stdout and str(tmp_path) in done.stdout
    assert not list(tmp_path.iterdir())
