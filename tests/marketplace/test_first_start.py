"""The script that the template runs on a new instance, with stand-ins for disks and Docker."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from template_files import DOCKER, RESOURCES, SCRIPT

PASSWORD = "Twelve-good.words~1"
FINGERPRINT = "SHA-256 AB:CD:EF"
STAND_INS = {
    # Real programs look at real files in place of disks; what would touch this system is noted.
    "lsblk": 'cat "$DISKS"',
    "findfs": '[ -e "$STATE/labelled" ]',
    "mountpoint": '[ -e "$STATE/mounted" ]',
    "mount": 'touch "$STATE/mounted"',
    "mkfs.ext4": 'touch "$STATE/labelled"; exec "$MKFS" "$@"',
    "sleep": ":",
    "curl": '[ -e "$STATE/answers" ]',
    "systemctl": 'case "$*" in "start heliochrome.service") exec "$STATE/unit" ;; esac',
    "appliance": f'echo "gateway | TLS certificate: /x, {FINGERPRINT}"',
    "compose": 'case "$*" in *" up -d") cp secrets/password "$STATE/gateway-saw" ;; '
    '*" port "*) echo 0.0.0.0:8443 ;; esac',
    # As heliochrome.service: with the real handle of the appliance, and a stand-in for Docker.
    # Once it has started it stays so, whatever is written later.
    "unit": '[ ! -e "$STATE/answers" ] || exit 0\n[ -s secrets/password ] || exit 0\n'
    'stat -c %a secrets/password >"$STATE/mode"\n'
    'touch "$STATE/answers"; HELIOCHROME_COMPOSE="$STATE/bin/compose" ./appliance up',
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
        self.disks: list[Path] = []

    def program(self, name: str, body: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(f'#!/bin/sh\necho "$0 $*" >>"$STATE/calls"\n{body}\n')
        path.chmod(0o755)

    def disk(self, name: str, content: bytes = b"") -> Path:
        path = self.folder / name
        path.write_bytes(content)
        os.truncate(path, 64 * 2**20)
        self.disks.append(path)
        # What is memory, or holds no disk, is none to format, however empty.
        memory = self.folder / "zram0"
        memory.write_bytes(bytes(2**20))
        lines = [f"{disk} disk\n" for disk in (*self.disks, memory)]
        (self.folder / "disks").write_text("".join(lines) + "/dev/sr0 rom\n")
        return path

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
        path = self.folder / "calls"
        return sum(f"/bin/{name} " in line for line in path.read_text().splitlines())


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
    assert "LABEL=heliochrome" in (instance.folder / "etc/fstab").read_text()
    names = re.findall(r"^HELIOCHROME_TLS_NAMES=(.*)$", (instance.home / ".env").read_text(), re.M)
    assert names == ["203.0.113.9"]
    assert FINGERPRINT in done.stdout
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
    assert instance.first_start("Another-password.2").returncode == 0
    assert instance.calls("mkfs.ext4") == instance.calls("mount") == 1
    assert (instance.folder / "etc/fstab").read_text() == fstab
    assert (instance.home / "secrets/password").read_text() == ""


@pytest.mark.parametrize("content", [partitioned(), b"x" * 4096], ids=["partitions", "two empty"])
def test_no_disk_is_formatted_where_it_is_not_clear_which(
    instance: Instance, content: bytes
) -> None:
    instance.disk("vda", partitioned())
    instance.disk("vdb", content)
    if not content.startswith(b"\0"):
        instance.disk("vdc")
    done = instance.first_start()
    assert done.returncode == 1
    assert "One empty data disk is expected" in done.stderr
    assert instance.calls("mkfs.ext4") == 0
    assert not (instance.home / "secrets").exists()


def test_a_disk_with_a_file_system_is_left_alone(instance: Instance) -> None:
    other = instance.disk("vdb")
    subprocess.run([instance.environ["MKFS"], "-q", "-L", "mine", str(other)], check=True)
    before = other.read_bytes()
    assert instance.first_start().returncode == 1
    assert other.read_bytes() == before


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
    limit = int(re.findall(r"TimeoutStartSec=(\d+)min", unit)[0]) * 60
    waiting, pause = (
        int(n) for n in re.findall(r"waiting=(\d+)|sleep (\d+)", SCRIPT) for n in n if n
    )
    assert RESOURCES["FirstStart"]["Properties"]["Timeout"] >= limit + waiting * pause
