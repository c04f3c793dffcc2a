"""The script that the template runs on a new instance, with stand-ins for disks and Docker."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from template_files import DOCKER, RESOURCES, SCRIPT

from heliochrome.studio.keeping import RESTORED

PASSWORD = "Twelve-good.words~1"
FINGERPRINT = "SHA-256 AB:CD:EF"
MIB = 2**20
SIZE = 64 * MIB
STAND_INS = {
    # Real programs look at real files in place of disks; what would touch this system is played.
    "lsblk": 'cat "$DISKS"',
    "mountpoint": '[ -e "$STATE/mounted" ]',
    # Docker holds what it found when it started, so it must not run meanwhile.
    "mount": '[ -d "$1" ] && [ ! -e "$STATE/docker-runs" ] && touch "$STATE/mounted"',
    "mkfs.ext4": 'exec "$MKFS" "$@"',
    "sleep": ":",
    "curl": '[ -e "$STATE/answers" ]',
    "systemctl": """case "$*" in
        daemon-reload) cp "$STATE/etc/fstab" "$STATE/loaded" ;;
        "stop docker.socket docker.service") rm -f "$STATE/docker-runs" ;;
        "start docker.service")
            cmp -s "$STATE/etc/fstab" "$STATE/loaded" && touch "$STATE/docker-runs" ;;
        "start heliochrome.service") [ -e "$STATE/docker-runs" ] && exec "$STATE/unit" ;;
        *) exit 1 ;;
    esac""",
    "docker": """[ -e "$STATE/docker-runs" ] && [ -e "$STATE/mounted" ] &&
        [ "$*" = "volume inspect heliochrome_gateway" ] && [ -e "$STATE/volume" ]""",
    "appliance": f'echo "gateway | TLS certificate: /x, {FINGERPRINT}"',
    "compose": 'case "$*" in *" up -d") touch "$STATE/volume"; '
    'cp secrets/password "$STATE/gateway-saw" ;; *" port "*) echo 0.0.0.0:8443 ;; esac',
    # As heliochrome.service: with the real handle of the appliance, and a stand-in for Docker.
    # Once it has started it stays so, whatever is written later.
    "unit": """[ ! -e "$STATE/answers" ] || exit 0
        [ -e secrets/password ] || exit 0
        [ -s secrets/password ] || docker volume inspect heliochrome_gateway || exit 0
        stat -c %a secrets/password >"$STATE/mode"
        touch "$STATE/answers"; HELIOCHROME_COMPOSE="$STATE/bin/compose" ./appliance up""",
}


class Instance:
    """A folder in place of an instance that was made from the image."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "opt/heliochrome"
        self.home.mkdir(parents=True)
        shutil.copy(DOCKER / "appliance", self.home)
        (self.home / ".env").write_text("HELIOCHROME_IMAGE=x\nHELIOCHROME_TLS_NAMES=old\n")
        (folder / "etc").mkdir()
        (folder / "etc/fstab").write_text("UUID=1 / ext4 defaults 0 1\n")
        (folder / "bin").mkdir()
        self.environ = {
            "PATH": f"{folder}/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "STATE": str(folder),
            "DISKS": str(folder / "disks"),
            "MKFS": shutil.which("mkfs.ext4", path="/usr/sbin:/sbin:/usr/bin") or "",
        }
        for name, body in STAND_INS.items():
            self.program(name, body)
        (folder / "bin/unit").rename(folder / "unit")
        (folder / "docker-runs").touch()
        self.disks: list[Path] = []

    def program(self, name: str, body: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(f'#!/bin/sh\necho "$0 $*" >>"$STATE/calls"\n{body}\n')
        path.chmod(0o755)

    def disk(self, name: str, content: bytes = b"", at: int = 0) -> Path:
        path = self.folder / name
        with path.open("wb") as file:
            file.seek(at)
            file.write(content)
        os.truncate(path, SIZE)
        self.disks.append(path)
        self.list_disks()
        return path

    def labelled(self, name: str, label: str = "heliochrome") -> Path:
        made = self.disk(name)
        subprocess.run([self.environ["MKFS"], "-q", "-L", label, str(made)], check=True)
        return made

    def list_disks(self) -> None:
        # What is memory, or holds no disk, is none to format, however empty.
        memory = self.folder / "zram0"
        part = self.folder / "empty-part"
        for path in (memory, part):
            with path.open("wb") as file:
                file.truncate(SIZE)
        lines = [f"{disk} disk {SIZE}\n" for disk in (*self.disks, memory)]
        lines += [f"{part} part {SIZE}\n", "/dev/sr0 rom 1073741312\n"]
        (self.folder / "disks").write_text("".join(lines))

    def first_start(self, password: str = PASSWORD) -> subprocess.CompletedProcess[str]:
        values = {"Password": password, "Address": "203.0.113.9"}
        text = re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], SCRIPT)
        for place in ("/opt/heliochrome", "/etc/fstab", "/var/lib/docker", "/usr/local/sbin"):
            target = f"{self.folder}/bin" if place == "/usr/local/sbin" else f"{self.folder}{place}"
            text = text.replace(place, target)
        file = self.folder / "t-script.sh"
        file.write_text(text)
        return subprocess.run(
            ["sh", str(file)], env=self.environ, capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip

    def calls(self, name: str) -> int:
        return len(self.orders(name))

    def orders(self, name: str) -> list[str]:
        """What came after the program's name."""
        lines = (self.folder / "calls").read_text().splitlines()
        return [line.partition(f"/bin/{name} ")[2] for line in lines if f"/bin/{name} " in line]


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    made = Instance(tmp_path)
    if not made.environ["MKFS"] or not shutil.which("blkid", path=made.environ["PATH"]):
        pytest.skip("mkfs.ext4 and blkid are missing: apt-get install e2fsprogs util-linux")
    return made


def partitioned() -> bytes:
    """A master boot record with one partition."""
    entry = (
        bytes([0x80, 0, 2, 0, 0x83, 0, 2, 0])
        + (1).to_bytes(4, "little")
        + (9999).to_bytes(4, "little")
    )
    return bytes(446) + entry + bytes(48) + b"\x55\xaa"


def test_the_first_start_prepares_the_disk_and_gives_the_gateway_the_password(
    instance: Instance,
) -> None:
    system, data = instance.disk("vda", partitioned()), instance.disk("vdb")
    before = system.read_bytes()
    done = instance.first_start()
    assert done.returncode == 0, done.stderr
    assert (instance.folder / "gateway-saw").read_text() == f"{PASSWORD}\n"
    assert (instance.folder / "mode").read_text() == "444\n"
    # Used up: the appliance's own handle has emptied it, and found it as it makes it itself.
    kept = instance.home / "secrets/password"
    assert kept.read_text() == "" and kept.stat().st_mode & 0o777 == 0o444
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert b"heliochrome" in data.read_bytes()[:4096]
    assert system.read_bytes() == before
    assert (instance.folder / "mounted").exists() and (instance.folder / "docker-runs").exists()
    (line,) = re.findall(
        r"^LABEL=heliochrome .*", (instance.folder / "etc/fstab").read_text(), re.M
    )
    assert line.split()[4:] == ["0", "2"], "looked over at each start, after the system's"
    settings = (instance.home / ".env").read_text().splitlines()
    names = "HELIOCHROME_TLS_NAMES=203.0.113.9"
    assert settings == ["HELIOCHROME_IMAGE=x", names, "HELIOCHROME_UP_WAIT_S=120"]
    assert FINGERPRINT in done.stdout
    assert "not used" not in done.stdout
    # Neither the file of the command nor what it says has the password; nor has a command line.
    assert not (instance.folder / "t-script.sh").exists()
    assert PASSWORD not in done.stdout + done.stderr + (instance.folder / "calls").read_text()


def test_docker_does_not_start_without_the_disk(instance: Instance, tmp_path: Path) -> None:
    """What systemd makes of the line in fstab."""
    generator = Path("/usr/lib/systemd/system-generators/systemd-fstab-generator")
    if not generator.exists():
        pytest.skip(f"{generator} is missing: apt-get install systemd")
    instance.disk("vdb")
    assert instance.first_start().returncode == 0
    line = (tmp_path / "etc/fstab").read_text().splitlines()[-1]
    (tmp_path / "etc/fstab").write_text(line.replace(str(tmp_path), "") + "\n")
    made = tmp_path / "units"
    made.mkdir()
    environ = {**instance.environ, "SYSTEMD_FSTAB": str(tmp_path / "etc/fstab")}
    subprocess.run([generator, made, made, made], env=environ, check=True)
    unit = "var-lib-docker-volumes.mount"
    assert (made / "docker.service.requires" / unit).is_symlink()
    assert "Before=docker.service\n" in (made / unit).read_text()
    assert not (made / "local-fs.target.requires").exists(), "a lost disk must not stop the system"


def test_a_second_run_changes_nothing(instance: Instance) -> None:
    instance.disk("vdb")
    assert instance.first_start().returncode == 0
    fstab = (instance.folder / "etc/fstab").read_text()
    again = instance.first_start("Another-password.2")
    assert again.returncode == 0
    assert "the password given now is not used" in again.stdout
    assert instance.calls("mkfs.ext4") == instance.calls("mount") == 1
    assert (instance.folder / "etc/fstab").read_text() == fstab
    assert (instance.home / "secrets/password").read_text() == ""
    names = (instance.home / ".env").read_text().splitlines()
    assert len(names) == len(set(names)) == 3


PHOTOGRAPH = b"\xff\xd8\xff\xe0 a raw photograph " * 64


@pytest.mark.parametrize(
    ("content", "at"),
    [(partitioned(), 0), (PHOTOGRAPH, 0), (b"x", MIB - 1), (PHOTOGRAPH, SIZE - MIB),
     (b"x", SIZE - 1)],
    ids=["partitions", "unknown", "end of the first MiB", "last MiB", "last byte"],
)  # fmt: skip
def test_a_disk_that_is_not_empty_is_not_formatted(
    instance: Instance, content: bytes, at: int
) -> None:
    other = instance.disk("vdb", content, at)
    refused(instance, "One empty data disk is expected", other)


def refused(instance: Instance, why: str, *disks: Path) -> None:
    """Nothing is formatted, mounted or started, and what the disks hold stays."""
    before = [disk.read_bytes() for disk in disks]
    formatted = instance.calls("mkfs.ext4") if (instance.folder / "calls").exists() else 0
    done = instance.first_start()
    assert done.returncode == 1
    assert why in done.stderr
    assert [disk.read_bytes() for disk in disks] == before
    assert instance.calls("mkfs.ext4") == formatted
    assert not (instance.folder / "mounted").exists()


def test_of_two_empty_disks_none_is_formatted(instance: Instance) -> None:
    disks = instance.disk("vdb"), instance.disk("vdc")
    refused(instance, f"found: {disks[0]} {disks[1]}", *disks)
    assert not (instance.home / "secrets").exists()


def test_a_disk_that_cannot_be_read_is_not_empty(instance: Instance) -> None:
    """blkid says 2 of it as well."""
    instance.disk("vdb").unlink()
    refused(instance, "One empty data disk is expected")


def test_an_empty_disk_is_taken_beside_one_with_a_file_system(instance: Instance) -> None:
    other, data = instance.labelled("vdb", "mine"), instance.disk("vdc")
    before = other.read_bytes()
    assert instance.first_start().returncode == 0
    assert instance.orders("mkfs.ext4") == [f"-q -L heliochrome {data}"]
    assert other.read_bytes() == before


def test_a_disk_with_a_file_system_is_left_alone(instance: Instance) -> None:
    refused(instance, "One empty data disk is expected", instance.labelled("vdb", "mine"))


def test_a_disk_that_was_set_up_is_used_and_no_empty_one_beside_it(instance: Instance) -> None:
    instance.labelled("vdb")
    instance.disk("vdc")
    assert instance.first_start().returncode == 0
    assert instance.calls("mkfs.ext4") == 0
    assert (instance.folder / "mounted").exists()


def test_two_disks_that_were_set_up_are_refused(instance: Instance) -> None:
    """One is a copy, from a snapshot: which of them would be mounted nobody can say."""
    first = instance.labelled("vdb")
    copy = instance.disk("vdc", first.read_bytes())
    refused(instance, "More than one disk is labelled heliochrome", first, copy)


def test_a_set_up_disk_that_is_damaged_or_gone_is_not_made_anew(instance: Instance) -> None:
    data = instance.disk("vdb")
    assert instance.first_start().returncode == 0
    (instance.folder / "mounted").unlink()
    with data.open("r+b") as file:  # a backup of it is intact further on
        file.seek(1024)
        file.write(bytes(1024))
    refused(instance, "The data disk that was set up is not there", data)
    instance.disks.clear()
    refused(instance, "The data disk that was set up is not there", instance.disk("vdc"))


def test_users_of_an_old_disk_stay_and_the_password_goes_nowhere(instance: Instance) -> None:
    instance.labelled("vdb")
    (instance.folder / "volume").touch()
    studio = instance.folder / "var/lib/docker/volumes/heliochrome_studio/_data/studio"
    studio.mkdir(parents=True)
    done = instance.first_start()
    assert done.returncode == 0, done.stderr
    assert (studio / RESTORED).exists(), "its photographs would be deleted in a day"
    assert "users are those of the disk; the password given now is not used" in done.stdout
    # The unit looks for the file.
    assert (instance.folder / "gateway-saw").read_text() == ""
    assert (instance.folder / "mode").read_text() == "444\n"


def test_an_empty_password_file_without_users_is_no_dead_end(instance: Instance) -> None:
    instance.disk("vdb")
    (instance.home / "secrets").mkdir()
    (instance.home / "secrets/password").touch()
    done = instance.first_start()
    assert done.returncode == 0, done.stderr
    assert (instance.folder / "gateway-saw").read_text() == f"{PASSWORD}\n"


def test_the_page_counts_and_not_whether_the_log_has_a_fingerprint(instance: Instance) -> None:
    instance.disk("vdb")
    instance.program("appliance", "exit 1")
    assert instance.first_start().returncode == 0
    assert all("--max-time" in order for order in instance.orders("curl"))


def test_a_page_that_does_not_answer_is_said(instance: Instance) -> None:
    instance.disk("vdb")
    instance.program("curl", "exit 7")
    done = instance.first_start()
    assert done.returncode == 1
    assert "The page does not answer" in done.stderr
    assert PASSWORD not in done.stdout + done.stderr


def test_another_image_is_said(instance: Instance) -> None:
    shutil.rmtree(instance.home)
    done = instance.first_start()
    assert done.returncode == 1
    assert "this is not the Heliochrome image" in done.stderr


def test_the_script_is_clean() -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is missing: apt-get install shellcheck")
    text = re.sub(r"\$\{(\w+)\}", r"\1", SCRIPT)
    said = subprocess.run(
        ["shellcheck", "--shell=sh", "--exclude=SC2086", "-"], input=text, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert said.stdout == ""
    assert len(text.encode()) < 16 * 1024  # Cloud Assistant takes no more


def test_the_unit_starts_with_the_password_that_the_script_writes() -> None:
    unit = (DOCKER / "marketplace/heliochrome.service").read_text("utf-8")
    assert "ConditionPathExists=/opt/heliochrome/secrets/password" in unit
    assert "systemctl start heliochrome.service" in SCRIPT
    # Cloud Assistant must not end it before it has said what is wrong, and ROS waits for the end.
    command = RESOURCES["FirstStart"]["Properties"]
    assert command["Sync"] is True
    (limit,) = numbers(r"TimeoutStartSec=(\d+)min", unit)
    (waiting,) = numbers(r"waiting=(\d+)", SCRIPT)
    (asking,) = numbers(r"--max-time (\d+)", SCRIPT)
    (pause,) = numbers(r"sleep (\d+)", SCRIPT)
    rest = 300  # the disk, and Docker's end and start
    assert command["Timeout"] >= 60 * limit + waiting * (asking + pause) + rest
    # Asked once a second by a command that takes about as long; then two self-tests.
    handle = (DOCKER / "appliance").read_text("utf-8")
    (patience,) = numbers(r"HELIOCHROME_UP_WAIT_S=(\d+)", SCRIPT)
    (trying,) = numbers(r"self-test --wait (\d+)", handle)
    assert 60 * limit >= 2 * patience + 2 * trying


def numbers(pattern: str, text: str) -> list[int]:
    return [int(found) for found in re.findall(pattern, text)]
