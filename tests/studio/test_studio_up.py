"""`heliochrome up`: one command, the real processes, the first password, and all of it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from running_studio import environment, install

sys.path.append(str(Path(__file__).parents[1] / "gateway"))

from browsing import Browser
from login_server import CHEAP

from heliochrome.cli import up
from heliochrome.cli.up import programs

READY_S = 60


@contextmanager
def running_up(folder: Path, **changed: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    (folder / "models").mkdir()
    install(folder / "models")
    environ = environment(folder)
    for name in ("TOKEN", "LISTEN_PORT"):  # these it makes itself
        environ.pop(f"HELIOCHROME_STUDIO_{name}")
    gateway = {
        "HELIOCHROME_GATEWAY_FOLDER": str(folder / "gateway"),
        "HELIOCHROME_GATEWAY_LISTEN_PORT": "0",
        **CHEAP,
    }
    said = folder / "said.txt"
    with said.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "heliochrome", "up"],
            stdout=out, stderr=subprocess.STDOUT, env={**environ, **gateway, **changed},
        )  # fmt: skip
    try:
        yield process, said
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def address_in(said: Path) -> str:
    end = time.monotonic() + READY_S
    while not (found := re.search(r"Heliochrome is at (http://\S+?)/\s", said.read_text())):
        assert time.monotonic() < end, said.read_text()
        time.sleep(0.1)
    return found[1]


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


def test_one_command_shows_address_and_password_and_ends_all_it_started(tmp_path: Path):
    with running_up(tmp_path) as (process, said):
        address = address_in(said)
        text = said.read_text()
        assert text.count("password") >= 1
        password = re.search(r"sign in as admin with the password (\S+)", text)
        assert password is not None
        assert "The studio is at" not in text, "an address that would refuse everybody"
        person = Browser(address)
        assert person.sign_in("admin", password[1]).status == 303
        end = time.monotonic() + READY_S
        while person.ask("GET", "/api/v1/me").status != 200:
            assert time.monotonic() < end, said.read_text()
            time.sleep(0.2)
        assert person.ask("GET", "/readyz").text == "ready\n"
        direct = children(process.pid)
        below = [grandchild for child in direct for grandchild in children(child)]
        assert len(direct) == 2 and below, "studio, gateway; and the studio's worker"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
        for pid in (*direct, *below):
            assert not Path(f"/proc/{pid}").exists()


def test_a_part_that_is_killed_is_started_again(tmp_path: Path):
    with running_up(tmp_path) as (process, said):
        address_in(said)
        before = children(process.pid)
        os.kill(before[0], signal.SIGKILL)
        end = time.monotonic() + READY_S
        while len(now := children(process.pid)) < 2 or now == before:
            assert time.monotonic() < end, said.read_text()
            time.sleep(0.1)
        assert "it is started again" in said.read_text()
        process.terminate()
        assert process.wait(timeout=60) == 0


def test_nothing_goes_on_alone_when_it_is_killed(tmp_path: Path):
    with running_up(tmp_path) as (process, said):
        address_in(said)
        direct = children(process.pid)
        below = [grandchild for child in direct for grandchild in children(child)]
        process.kill()
        process.wait()
        end = time.monotonic() + READY_S
        while any(Path(f"/proc/{pid}").exists() for pid in (*direct, *below)):
            assert time.monotonic() < end, "a process was left"
            time.sleep(0.1)


def test_a_part_that_cannot_begin_ends_all_and_has_said_why(tmp_path: Path):
    wrong = {"HELIOCHROME_GATEWAY_TLS": "sometimes"}
    with running_up(tmp_path, **wrong) as (process, said):
        assert process.wait(timeout=READY_S) == 2
        assert "HELIOCHROME_GATEWAY_TLS must be one of" in said.read_text()
        assert "started again" not in said.read_text()


def test_comfyui_is_started_with_our_nodes_and_both_know_where_it_is(tmp_path: Path):
    (tmp_path / "ComfyUI").mkdir()
    (tmp_path / "ComfyUI" / "main.py").touch()
    given = {"HELIOCHROME_STUDIO_FOLDER": str(tmp_path / "kept"),
             "HELIOCHROME_COMFYUI_OPTIONS": "--cpu --verbose"}  # fmt: skip
    comfyui, studio, gateway = programs(str(tmp_path / "ComfyUI"), "ddcolor_v1", given)
    port = comfyui.command[comfyui.command.index("--port") + 1]
    origin = f"http://127.0.0.1:{port}"
    assert comfyui.command[-2:] == ["--cpu", "--verbose"]
    assert comfyui.command[comfyui.command.index("--listen") + 1] == "127.0.0.1"
    paths = Path(comfyui.command[comfyui.command.index("--extra-model-paths-config") + 1])
    assert "custom_nodes" in paths.read_text() and paths.is_relative_to(tmp_path / "kept")
    assert studio.environ["HELIOCHROME_STUDIO_COMFYUI"] == origin
    assert studio.environ["HELIOCHROME_STUDIO_MODEL"] == "ddcolor_v1"
    assert gateway.environ["HELIOCHROME_GATEWAY_UPSTREAM"] == origin
    assert (
        gateway.environ["HELIOCHROME_GATEWAY_STUDIO_TOKEN"]
        == studio.environ["HELIOCHROME_STUDIO_TOKEN"]
    )


def test_of_an_installed_package_comfyui_gets_our_nodes_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    installed = tmp_path / "site-packages" / "heliochrome"
    installed.mkdir(parents=True)
    (tmp_path / "site-packages" / "another").mkdir()
    monkeypatch.setattr(up, "_PACK", installed)
    (tmp_path / "main.py").touch()
    for _ in range(2):  # it is there the second time
        programs(str(tmp_path), None, {"HELIOCHROME_STUDIO_FOLDER": str(tmp_path / "kept")})
    (paths,) = (tmp_path / "kept").glob("*.yaml")
    (nodes,) = [Path(each["custom_nodes"]) for each in json.loads(paths.read_text()).values()]
    assert [(path.name, path.resolve()) for path in nodes.iterdir()] == [("heliochrome", installed)]


def test_a_folder_without_comfyui_is_one_clear_error(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "heliochrome", "up"],
        env={**os.environ, "COMFYUI_DIR": str(tmp_path)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "COMFYUI_DIR" in done.stderr and "main.py" in done.stderr
