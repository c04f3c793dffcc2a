"""docker/marketplace: what check_instance finds on a root file system, and how it says it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from instance_checker import POINTS, Image, fingerprints, points, report
from instance_dirt import DIRT, Dirt
from instance_root import (
    MARKETPLACE,
    as_root,
    copy,
    picture,
    run,
    write,
)

CHECKER = MARKETPLACE / "check_instance"


def test_the_checker_reads_fingerprints_as_gpg_does(key: tuple[Path, str], tmp_path: Path) -> None:
    path, fingerprint = key
    assert fingerprints(path.read_bytes()) == [fingerprint]
    binary = tmp_path / "key.gpg"
    assert run("gpg", "--batch", "--dearmor", "-o", binary, path).returncode == 0
    assert fingerprints(binary.read_bytes()) == [fingerprint]
    assert fingerprints(b"<html>") == fingerprints(b"") == []


@as_root
def test_a_sealed_root_meets_every_point(
    sealed: Path, check: Callable[..., dict[str, list[str]]]
) -> None:
    assert check(sealed) == {}


def test_every_point_has_dirt_that_breaks_it() -> None:
    assert {dirt.point for dirt in DIRT} == {point.name for point in POINTS}


@as_root
@pytest.mark.parametrize("dirt", DIRT, ids=str)
def test_each_kind_of_dirt_makes_its_own_point_fail(
    sealed: Path, tmp_path: Path, check: Callable[..., dict[str, list[str]]], dirt: Dirt
) -> None:
    root = copy(sealed, tmp_path / "root")
    dirt.plant(root)
    assert set(check(root)) == dirt.points


@as_root
def test_the_checker_reads_nothing_outside(
    sealed: Path, tmp_path: Path, outside: Path, check: Callable[..., dict[str, list[str]]]
) -> None:
    """A link means what it means in the image; the checker changes nothing."""
    root = copy(sealed, tmp_path / "root")
    (root / "etc/machine-id").unlink()
    (root / "etc/machine-id").symlink_to(outside / "machine-id")
    (root / "etc/docker/daemon.json").unlink()
    (root / "etc/docker/daemon.json").symlink_to("../loop")
    (root / "etc/loop").symlink_to("docker/daemon.json")
    before = picture(root)
    found = check(root)
    assert set(found) == {"identity", "toolkit"}
    assert found["identity"][0].startswith("no etc/machine-id")
    assert picture(root) == before
    image = Image(root)
    assert image.at("bin/cloud-init") == root / "usr/bin/cloud-init"
    assert image.at("../../../etc/passwd") == root / "etc/passwd"
    assert image.at("etc/loop") is None
    assert image.entry("etc/loop") == root / "etc/loop"


@as_root
def test_a_key_behind_a_link_is_found_where_the_image_has_it(
    sealed: Path, tmp_path: Path, check: Callable[..., dict[str, list[str]]]
) -> None:
    """And not where this machine has one."""
    root = copy(sealed, tmp_path / "root")
    key = write(root, "usr/share/keys/authorized_keys", "ssh-ed25519 AAAA seller\n")
    (root / "home/keeper/.ssh").symlink_to("/usr/share/keys")
    assert check(root) == {"authorized-keys": ["home/keeper/.ssh/authorized_keys"]}
    key.unlink()
    (root / "home/keeper/.ssh").unlink()
    outside = write(tmp_path, "outside/authorized_keys", "ssh-ed25519 AAAA buyer\n")
    (root / "home/keeper/.ssh").symlink_to(outside.parent)
    assert check(root) == {}


@as_root
def test_one_line_a_point_and_the_exit_code(sealed: Path, tmp_path: Path) -> None:
    """As a program, with the pinned keys, which this root does not have."""
    done = run("python3", "-B", CHECKER, sealed)
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert [line for line in lines if line.startswith("FAIL")] == [
        line for line in lines if line.startswith("FAIL repositories: expected ")
    ]
    assert sum(line.startswith("ok   ") for line in lines) == len(POINTS) - 1
    assert "     driver: 580.95.05" in lines
    assert lines[-1] == f"{len(POINTS)} points, 1 not met"
    without_card = run("python3", "-B", CHECKER, "--cpu", sealed).stdout
    assert not re.search(r"^(ok  |FAIL) (toolkit|driver|driver-module):", without_card, re.M)
    assert without_card.splitlines()[-1] == f"{len(POINTS) - 3} points, 2 not met"
    nothing = run("python3", "-B", CHECKER, tmp_path)
    assert nothing.returncode == 2
    assert (nothing.stdout, "Expected a root file system" in nothing.stderr) == ("", True)


@as_root
def test_what_cannot_be_read_is_said_and_hides_no_other_point(
    sealed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(image: Image) -> list[str]:
        raise OSError(5, "read\nerror")

    broken_point = points.Point("broken", "a disk that can be read", broken)
    last = points.Point("last", "asked all the same", lambda image: ["something"])
    monkeypatch.setattr(points, "POINTS", (broken_point, last))
    assert report.main([str(sealed)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == r"FAIL broken: cannot be read (OSError: [Errno 5] read\nerror)"
    assert lines[1] == "FAIL last: expected asked all the same; found something"
    assert lines[-1] == "2 points, 2 not met"


@as_root
def test_of_settings_only_the_name_is_said(
    sealed: Path, tmp_path: Path, check: Callable[..., dict[str, list[str]]]
) -> None:
    root = copy(sealed, tmp_path / "root")
    path = root / "opt/heliochrome/.env"
    path.write_text(path.read_text() + "HELIOCHROME_TOKEN=hunter2\n")
    assert check(root) == {"settings": ["another line: HELIOCHROME_TOKEN"]}


@as_root
def test_what_packages_and_the_cloud_lay_may_run_by_itself(
    sealed: Path, tmp_path: Path, check: Callable[..., dict[str, list[str]]]
) -> None:
    root = copy(sealed, tmp_path / "root")
    listed = "/lib/systemd/system/ssh.service\n/etc/cron.d/popularity\n/etc/rc.local\n"
    write(root, "var/lib/dpkg/info/openssh-server.list", listed)
    for name in (
        "usr/lib/systemd/system/ssh.service", "etc/cron.d/popularity", "etc/rc.local",
        "etc/systemd/system/AssistDaemon.service", "etc/systemd/system/snap-lxd-1.mount",
    ):  # fmt: skip
        write(root, name)
    units = root / "etc/systemd/system"
    (units / "sshd.service").symlink_to("/lib/systemd/system/ssh.service")
    (units / "multi-user.target.wants/ssh.service").symlink_to("/lib/systemd/system/ssh.service")
    (units / "multi-user.target.wants/gone.service").symlink_to("/lib/systemd/system/gone.service")
    (units / "tmp.mount").symlink_to("/dev/null")
    assert check(root) == {}


@as_root
def test_a_file_name_cannot_write_lines(sealed: Path, tmp_path: Path) -> None:
    root = copy(sealed, tmp_path / "root")
    write(root, "root/a\nok   passwords: \x1b[2J")
    done = run("python3", "-B", CHECKER, root)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FAIL leftovers")]
    assert r"root/a\nok" in line and "\x1b" not in done.stdout
