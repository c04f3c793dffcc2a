"""The appliance's handle: a session that is lost, and who is shown the first password. A stand-in
for Compose has folders for volumes, and runs in them what is to run in a container."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dockerfile import DOCKER
from heliochrome.studio.keeping import RESTORED
from pages import LANGUAGES, source
from waiting import eventually

COMPOSE = """
import os, signal, sys, time
from pathlib import Path

here = Path.cwd()
line = " ".join(sys.argv[1:])
with (here / "told").open("a") as file:
    file.write(line.replace("\\n", " ") + "\\n")
_, _, *words = sys.argv[1:]  # -f compose.yaml
print(words[0], "...", file=sys.stderr, flush=True)
if words[0] == "run":  # docker-compose hears it, even where it was to be ignored
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
if (word := os.environ.get("FAILS")) and word in line:
    sys.exit("engine: no space left on device")
if (word := os.environ.get("HANGS")) and word in line:
    (here / "hangs").touch()
    while not (here / "go-on").exists():
        time.sleep(0.05)
pod = here / "pod"  # as podman-compose makes it
if words[0] == "down":
    pod.unlink(missing_ok=True)
if words[0] in ("run", "up") and not pod.exists():
    pod.touch()
    print("8f3a0c61d2", flush=True)
users = here / "volumes/gateway/gateway/users.json"
password = here / "secrets/password"
if words == ["up", "-d"] and not users.exists() and password.read_text():
    users.parent.mkdir(parents=True, exist_ok=True)
    users.write_text(password.read_text())
if words[0] == "port":
    print("0.0.0.0:8443")
if words[0] == "exec" and "/opt/appliance/health.py" in words:
    sys.exit(0 if users.exists() else 1)
if words[0] == "exec" and words[-3:-1] == ["passwd", "admin"]:
    users.write_text("another")
if words[0] == "run":
    name, *command = words[4:]
    volume = here / "volumes" / name
    volume.mkdir(parents=True, exist_ok=True)
    for part in ("gateway", "studio"):
        os.environ[f"HELIOCHROME_{part.upper()}_FOLDER"] = str(volume / part)
    os.execvp(command[0], [word.replace("/data", str(volume)) for word in command])
"""


class Handle:
    """The real script, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copy(DOCKER / "appliance", folder)
        (folder / "compose.py").write_text(COMPOSE)

    def environ(self, **more: str) -> dict[str, str]:
        compose = f"{sys.executable} {self.folder}/compose.py"
        return {"PATH": os.environ["PATH"], "HELIOCHROME_COMPOSE": compose, **more}

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.folder / "appliance", *command], cwd=self.folder, env=self.environ(**more),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    def cut_off(self, *command: str, at: str, by: int = signal.SIGHUP) -> int:
        """Its exit code where the session is lost while Compose does `at`: as the kernel does it,
        all that runs in the session's foreground gets the signal, and nobody reads any more."""
        started = subprocess.Popen(
            [self.folder / "appliance", *command], cwd=self.folder, env=self.environ(HANGS=at),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        assert started.stdout is not None
        assert eventually((self.folder / "hangs").exists)
        started.stdout.close()
        if by:
            os.killpg(started.pid, by)
        time.sleep(0.3)  # whatever dies of it is dead
        (self.folder / "go-on").touch()
        return started.wait(timeout=60)

    def told(self) -> list[str]:
        return (self.folder / "told").read_text().splitlines()

    def put(self, volume: str, text: str) -> Path:
        path = self.folder / "volumes" / volume / "photograph"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    @property
    def password(self) -> Path:
        return self.folder / "secrets/password"

    @property
    def users(self) -> Path:
        return self.folder / "volumes/gateway/gateway/users.json"


@pytest.fixture
def handle(tmp_path: Path) -> Handle:
    return Handle(tmp_path)


# --- A lost session ------------------------------------------------------------------------------


def test_a_backup_whose_session_is_lost_leaves_nothing_and_the_appliance_runs_again(
    handle: Handle,
) -> None:
    assert handle.run("up").returncode == 0
    assert handle.cut_off("backup", "kept", at="-cf") == 129
    assert not [*handle.folder.glob("kept*")]
    assert handle.told()[-1].endswith("up -d")


def test_a_backup_stays_where_the_session_is_lost_after_it(handle: Handle) -> None:
    """While the appliance is started again."""
    handle.put("studio", "old")
    handle.run("up")
    assert handle.cut_off("backup", "kept", at="up -d") == 0
    assert not (handle.folder / "kept.part").exists()
    photograph = subprocess.run(
        ["tar", "-xOf", handle.folder / "kept/studio.tar", "./photograph"], capture_output=True,
        check=True,
    )  # fmt: skip
    assert photograph.stdout == b"old"


def test_what_is_down_can_be_backed_up(handle: Handle) -> None:
    handle.run("up")
    handle.run("down")
    done = handle.run("backup", "kept")
    assert done.returncode == 0, done.stderr


def test_what_is_left_of_a_backup_is_told_as_that(handle: Handle) -> None:
    (handle.folder / "kept.part").mkdir()
    done = handle.run("backup", "kept")
    assert done.returncode == 2
    assert f'rm -r "{handle.folder}/kept.part"' in done.stderr and "broken off" in done.stderr
    assert "mkdir" not in done.stderr and not (handle.folder / "told").exists()


@pytest.mark.parametrize("by", [signal.SIGHUP, 0], ids=["terminal", "pipe"])
def test_a_restore_goes_on_to_its_end_where_the_session_is_lost(handle: Handle, by: int) -> None:
    photographs = [handle.put(name, "old") for name in ("studio", "comfyui")]
    handle.run("up")
    assert handle.run("backup", "kept").returncode == 0
    for path in photographs:
        path.write_text("new")
    assert handle.cut_off("restore", "--replace", "kept", at="-delete", by=by) == 0
    assert [path.read_text() for path in photographs] == ["old", "old"]
    assert handle.told()[-1].endswith("up -d")


@pytest.mark.parametrize("by", [signal.SIGHUP, 0], ids=["terminal", "pipe"])
def test_a_restore_into_empty_volumes_does_so_too(handle: Handle, by: int) -> None:
    photograph = handle.put("comfyui", "old")
    handle.run("up")
    assert handle.run("backup", "kept").returncode == 0
    shutil.rmtree(handle.folder / "volumes")
    assert handle.cut_off("restore", "kept", at="ls -A", by=by) == 0
    assert photograph.read_text() == "old"
    assert handle.told()[-1].endswith("up -d")


def test_a_restore_that_is_stopped_while_it_looks_starts_the_appliance_again(
    handle: Handle,
) -> None:
    handle.run("up")
    assert handle.run("backup", "kept").returncode == 0
    assert handle.cut_off("restore", "kept", at="ls -A", by=signal.SIGINT) == 130
    assert not [line for line in handle.told() if "-delete" in line]
    assert handle.told()[-1].endswith("up -d")


# --- What is restored over what ------------------------------------------------------------------


def test_an_engine_that_fails_is_not_taken_for_photographs(handle: Handle) -> None:
    handle.run("up")
    assert handle.run("backup", "kept").returncode == 0
    done = handle.run("restore", "kept", FAILS="ls -A")
    assert done.returncode == 2
    assert "engine: no space left on device" in done.stderr
    assert 'expected "empty" or "full"' in done.stderr and "--replace" not in done.stderr
    assert not [line for line in handle.told() if "-delete" in line]
    assert handle.told()[-1].endswith("up -d")


def test_empty_volumes_are_restored_and_full_ones_are_not(handle: Handle) -> None:
    photograph = handle.put("comfyui", "old")
    handle.put("studio/studio", "old")
    handle.run("up")
    assert handle.run("backup", "kept").returncode == 0
    full = handle.run("restore", "kept")
    assert full.returncode == 2 and "appliance restore --replace" in full.stderr
    shutil.rmtree(handle.folder / "volumes")
    assert handle.run("restore", "kept").returncode == 0
    assert photograph.read_text() == "old"
    # From now on the studio counts how old they are.
    assert (handle.folder / "volumes/studio/studio" / RESTORED).exists()


# --- The first password --------------------------------------------------------------------------


def test_secrets_are_their_owners_alone_whoever_made_the_folder(handle: Handle) -> None:
    handle.password.parent.mkdir(mode=0o755)
    handle.password.write_text("chosen by myself\n")
    handle.run("up")
    assert handle.password.parent.stat().st_mode & 0o777 == 0o700


def timed_out(handle: Handle) -> str:
    """A first `up` that nobody was shown the password of."""
    done = handle.run("up", FAILS="health.py", HELIOCHROME_UP_WAIT_S="1")
    assert done.returncode == 1
    made = handle.password.read_text().strip()
    assert made and made not in done.stderr
    return made


def test_a_first_password_is_not_written_into_the_journal_but_kept_for_a_terminal(
    handle: Handle,
) -> None:
    made = timed_out(handle)
    ours, journal = socket.socketpair()
    with ours, journal:
        known = os.fstat(journal.fileno())
        environ = handle.environ(JOURNAL_STREAM=f"{known.st_dev}:{known.st_ino}")
        subprocess.run(
            [handle.folder / "appliance", "up"], env=environ, stdin=subprocess.DEVNULL,
            stdout=journal, stderr=journal, check=True, timeout=60,
        )  # fmt: skip
        journal.close()
        said = ours.makefile("r").read()
    assert made not in said and "say `sudo appliance up`" in said
    # A session below a service has the variable too, but writes elsewhere.
    shown = handle.run("up", JOURNAL_STREAM=f"{known.st_dev}:{known.st_ino}").stderr
    assert f"sign in as admin with the password {made}\n" in shown
    assert handle.password.read_text() == ""


@pytest.mark.parametrize(
    "command",
    [
        ["passwd"],
        ["user", "passwd", "admin", "--generate"],
        ["user", "passwd", "--generate", "admin"],
    ],
)
def test_a_first_password_that_was_replaced_is_not_announced(
    handle: Handle, command: list[str]
) -> None:
    made = timed_out(handle)
    assert handle.run(*command).returncode == 0
    done = handle.run("up")
    assert done.returncode == 0 and made not in done.stderr and "password" not in done.stderr
    assert handle.password.read_text() == ""


def test_another_users_password_leaves_the_first_one_to_be_shown(handle: Handle) -> None:
    made = timed_out(handle)
    handle.run("passwd", "mina")
    assert f"with the password {made}\n" in handle.run("up").stderr


def test_a_first_password_is_void_where_a_restore_broke_off_after_the_users(
    handle: Handle,
) -> None:
    handle.run("up")
    assert handle.run("backup", "kept").returncode == 0
    shutil.rmtree(handle.folder / "volumes")
    shutil.rmtree(handle.password.parent)
    broken = handle.run("restore", "kept", FAILS="comfyui sh -c find")
    assert broken.returncode != 0 and "Not restored" in broken.stderr
    assert "password" not in handle.run("up").stderr, "users are those of the backup"


def test_where_the_volumes_are_gone_the_next_start_makes_a_password(handle: Handle) -> None:
    handle.run("up")
    assert handle.password.read_text() == ""
    shutil.rmtree(handle.folder / "volumes")
    done = handle.run("up", HELIOCHROME_UP_WAIT_S="2")
    assert done.returncode == 0
    made = handle.users.read_text().strip()
    assert f"sign in as admin with the password {made}\n" in done.stderr
    assert handle.password.read_text() == ""


@pytest.mark.parametrize("fails", ["", "users.json"])
def test_no_password_is_made_where_there_are_users_or_nobody_knows(
    handle: Handle, fails: str
) -> None:
    handle.run("up")
    known = handle.users.read_text()
    done = handle.run("up", FAILS=fails)
    assert done.returncode == 0 and "password" not in done.stderr
    assert handle.password.read_text() == "" and handle.users.read_text() == known


# --- The manual ----------------------------------------------------------------------------------

every_language = pytest.mark.parametrize("language", LANGUAGES)


@every_language
def test_the_first_commands_of_the_manual_work_in_a_fresh_clone(
    handle: Handle, tmp_path_factory: pytest.TempPathFactory, language: str
) -> None:
    page = source(language, "appliance")
    (start,) = (
        block for block in page.split("\n\n") if block.rstrip().endswith("    docker/appliance up")
    )
    (secrets,) = (text for text in page.split("`") if text.startswith("install -d"))
    clone = tmp_path_factory.mktemp("clone")
    (clone / "ddcolor_v2.safetensors").touch()
    handle.folder.rename(clone / "docker")
    compose = f"{sys.executable} {clone}/docker/compose.py"
    subprocess.run(
        ["sh", "-ec", f"{secrets}; echo chosen >docker/secrets/password\n{start}"], cwd=clone,
        env={**handle.environ(), "HELIOCHROME_COMPOSE": compose}, stdin=subprocess.DEVNULL,
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    assert (clone / "docker/models/ddcolor_v2.safetensors").exists()
    assert (clone / "docker/volumes/gateway/gateway/users.json").read_text() == "chosen\n"


@pytest.mark.parametrize(("language", "denial"), [("en", "o image holds"), ("zh", "没有包含")])
def test_an_image_that_there_is_is_not_said_to_be_missing(language: str, denial: str) -> None:
    for name in ("gateway", "studio"):
        missing = source(language, name).partition("\n## ")[0]
        assert denial not in missing and "](appliance.md)" in missing


@every_language
def test_the_seller_works_in_a_folder_that_sealing_empties(language: str) -> None:
    (step,) = (
        line for line in source(language, "marketplace").split("\n2. ")[1:] if "`docker`" in line
    )
    assert "`/var/tmp`" in step.partition("\n3. ")[0]
    sealing = (DOCKER / "marketplace/seal-instance").read_text("utf-8")
    assert "clear_out /tmp /var/tmp " in sealing
