"""docker/marketplace: the scripts themselves, and what prepare-instance lays out."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from instance_checker import packages
from instance_root import (
    MARKETPLACE,
    PREPARE,
    ROOT,
    as_root,
    make_key,
    picture,
    run,
    seal,
    tool,
    write,
)

SCRIPTS = ("prepare-instance", "seal-instance", "root-folder.sh", "close-metadata")
CHECKER = MARKETPLACE / "check_instance"
UNITS = ("heliochrome", "heliochrome-metadata", "heliochrome-host-keys")


# --- The scripts themselves ----------------------------------------------------------------------


def test_shellcheck_finds_nothing() -> None:
    done = run(tool("shellcheck"), *(MARKETPLACE / name for name in SCRIPTS))
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_plain_sh(name: str) -> None:
    assert run(tool("dash"), "-n", MARKETPLACE / name).returncode == 0
    assert os.access(MARKETPLACE / name, os.X_OK) == (not name.endswith(".sh"))


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    """As in an instance, where Docker's unit and the appliance are."""
    for name in UNITS:
        text = (MARKETPLACE / f"{name}.service").read_text()
        write(tmp_path, f"{name}.service", text.replace("/opt/heliochrome/", f"{tmp_path}/"))
    write(tmp_path, "docker.service", "[Service]\nExecStart=/bin/true\n")
    for name in ("appliance", "close-metadata"):
        write(tmp_path, name, mode=0o755)
    files = [tmp_path / f"{name}.service" for name in UNITS]
    done = run(
        tool("systemd-analyze"), "verify", "--man=no", *files, SYSTEMD_UNIT_PATH=f"{tmp_path}:"
    )
    said = [line for line in done.stderr.splitlines() if "heliochrome" in line]
    assert (done.returncode, said) == (0, [])


def test_the_service_does_not_start_where_nobody_gave_a_password(tmp_path: Path) -> None:
    text = (MARKETPLACE / "heliochrome.service").read_text()
    assert "\nConditionPathExists=/opt/heliochrome/secrets/password\n" in text
    assert "\nRequires=docker.service heliochrome-metadata.service\n" in text
    (condition,) = re.findall(r"^ExecCondition=/bin/sh -c '(.*)'$", text, re.MULTILINE)

    def starts(password: str, volume: bool) -> bool:
        write(tmp_path, "secrets/password", password)
        write(tmp_path, "docker", f"#!/bin/sh\nexit {int(not volume)}\n", 0o755)
        command = f"cd {tmp_path} && {condition}"
        return run("/bin/sh", "-c", command, PATH=f"{tmp_path}:/bin").returncode == 0

    assert starts("given\n", volume=False)  # the first start
    assert starts("", volume=True)  # later ones: `up` has emptied the file
    assert not starts("", volume=False)  # the gateway would make a password and log it


@as_root
def test_containers_do_not_reach_the_clouds_metadata() -> None:
    """The real iptables, in a network of its own; once more changes nothing."""
    for name in ("unshare", "iptables"):
        tool(name)
    script = MARKETPLACE / "close-metadata"
    done = run("unshare", "-n", "sh", "-ec", f"{script}; {script}; iptables -S DOCKER-USER")
    if "Operation not permitted" in done.stderr:
        pytest.skip("no network namespaces here")
    assert done.returncode == 0, done.stderr
    assert sorted(re.findall(r"-d (\S+)/32 -j REJECT", done.stdout)) == [
        "100.100.100.200", "169.254.169.254",
    ]  # fmt: skip


def test_the_least_driver_is_the_images() -> None:
    def said(path: Path) -> list[str]:
        return re.findall(
            r"^(?:least_driver=|LEAST_DRIVER: Final = )(\d+)$", path.read_text(), re.M
        )

    numbers = [
        said(path) for path in (ROOT / "docker/image/entrypoint.sh", PREPARE, CHECKER / "card.py")
    ]
    assert numbers[0] == numbers[1] == numbers[2] != []


def test_the_keys_are_the_same_in_both() -> None:
    text = PREPARE.read_text()
    assert re.findall(r"^\w+_key=([0-9A-F]{40})$", text, re.M) == list(packages.KEYS.values())


# --- install -------------------------------------------------------------------------------------


def refused(*arguments: str | Path, **environ: str) -> str:
    done = run(PREPARE, *arguments, **environ)
    assert done.returncode == 2
    return done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "prepare-instance install --image"),
        (["remove"], "prepare-instance install --image"),
        (["install", "--images", "a"], "There is no option --images"),
        (["install", "--image"], "--image needs a value"),
        (["install", "--root", "/"], "install knows no --root"),
        (["lay-out"], "lay-out needs --root"),
        (["lay-out", "--image", "a.tar"], "lay-out knows no --image"),
        (["install", "--docker-mirror", "http://mirror.test"], "begins with https://"),
        (
            ["install", "--docker-mirror", "https://me:b@mirror.test"],
            "without a name and a password",
        ),
        (["install", "--image-name", "a b"], "an image's name"),
        (["check-key", "a"], "takes a file and a fingerprint"),
        (["seal", "--force"], "Came: --force"),
        (["seal", "--root"], "Name the folder"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_done(
    arguments: list[str], said: str
) -> None:
    assert said in refused(*arguments)


def stand_in(folder: Path, name: str, said: str, code: int = 0) -> None:
    write(folder, name, f"#!/bin/sh\necho '{said}'\nexit {code}\n", 0o755)


@pytest.mark.parametrize(
    ("card", "code", "said"),
    [
        (None, 0, "Came: no nvidia-smi"),
        ("NVIDIA-SMI has failed", 9, "Came: no answer (NVIDIA-SMI has failed)"),
        ("570.86.10", 0, "Came: 570.86.10"),
        ("[N/A]", 0, 'Came: "[N/A]"'),
        ("", 0, 'Came: ""'),
    ],
)
def test_without_a_good_driver_it_says_which_option_brings_one(
    tmp_path: Path, card: str | None, code: int, said: str
) -> None:
    for name in ("sh", "dirname", "readlink", "head", "id", "uname"):
        (tmp_path / name).symlink_to(tool(name))
    if card is not None:
        stand_in(tmp_path, "nvidia-smi", card, code)
    message = refused("check-driver", PATH=str(tmp_path))
    assert said in message and "580 or newer" in message and "--cpu" in message
    assert "the console's option that installs the NVIDIA driver" in message


def test_a_good_driver_is_taken_also_where_there_are_two_cards(tmp_path: Path) -> None:
    stand_in(tmp_path, "nvidia-smi", "580.95.05\n580.95.05")
    done = run(PREPARE, "check-driver", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert (done.returncode, done.stdout) == (0, "580.95.05\n")


def test_only_the_pinned_key_is_taken(key: tuple[Path, str], tmp_path: Path) -> None:
    path, fingerprint = key
    assert run(PREPARE, "check-key", path, fingerprint).returncode == 0
    other = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"
    assert f"Came: {fingerprint}" in refused("check-key", path, other)
    assert "Came: no key" in refused("check-key", write(tmp_path, "page.html", "<html>"), other)
    assert "Came: no key" in refused("check-key", tmp_path / "none", other)


def test_a_second_key_in_the_same_file_is_refused(key: tuple[Path, str], tmp_path: Path) -> None:
    path, fingerprint = key
    other, second = make_key(tmp_path)
    both = write(tmp_path, "both.asc", path.read_text() + other.read_text())
    assert f"Came: {fingerprint} {second}" in refused("check-key", both, fingerprint)


@as_root
def test_our_files_are_laid_without_a_secret(root: Path) -> None:
    folder = root / "opt/heliochrome"
    assert sorted(path.name for path in folder.iterdir()) == [
        ".env", "appliance", "close-metadata", "compose.gpu.yaml", "compose.yaml", "models",
        "prepared.json", "seccomp.json",
    ]  # fmt: skip
    assert (folder / ".env").read_text().splitlines() == [
        "HELIOCHROME_ADDRESS=0.0.0.0",
        "HELIOCHROME_IMAGE=localhost/heliochrome:gpu",
        "HELIOCHROME_GPU=1",
    ]
    before = picture(root)
    assert run(PREPARE, "lay-out", "--root", root).returncode == 0
    assert {path: parts[2] for path, parts in picture(root).items()} == {
        path: parts[2] for path, parts in before.items()
    }


@as_root
def test_units_are_turned_on_as_they_say(prepared: Path) -> None:
    """As `systemctl enable` would. Without the metadata closed Docker does not start."""
    units = prepared / "etc/systemd/system"
    suffixes = {"WantedBy": "wants", "RequiredBy": "requires"}
    for name in UNITS:
        ((how, by),) = re.findall(
            r"^(WantedBy|RequiredBy)=(.+)$", (units / f"{name}.service").read_text(), re.M
        )
        assert (units / f"{by}.{suffixes[how]}" / f"{name}.service").is_symlink()
        assert (name, how) != ("heliochrome-metadata", "WantedBy")


@as_root
def test_on_a_processor_the_card_is_not_asked_for(
    root: Path, check: Callable[..., dict[str, list[str]]]
) -> None:
    assert run(PREPARE, "lay-out", "--root", root, "--cpu").returncode == 0
    assert not (root / "etc/apt/apt.conf.d/51heliochrome-kernels").exists()
    text = (root / "opt/heliochrome/.env").read_text()
    assert "HELIOCHROME_IMAGE=localhost/heliochrome:cpu\nHELIOCHROME_GPU=0\n" in text
    seal(root)
    shutil.rmtree(root / "usr/lib/modules")
    assert set(check(root, card=False)) == {"image"}  # the store holds the other image


@as_root
def test_nothing_is_laid_through_a_link(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for folder in (
        "opt/heliochrome",
        "usr/local/sbin",
        "etc/systemd/system/docker.service.requires",
    ):
        kept = (root / folder).rename(tmp_path / "kept")
        (root / folder).symlink_to(outside)
        assert "no link on the way" in refused("lay-out", "--root", root)
        assert list(outside.iterdir()) == []
        (root / folder).unlink()
        kept.rename(root / folder)


@as_root
def test_the_command_takes_the_place_of_an_older_one(root: Path) -> None:
    command = root / "usr/local/sbin/appliance"
    for plant in (
        lambda: command.write_text("#!/bin/sh\n"),
        lambda: command.symlink_to("/opt/other/appliance"),
    ):
        command.unlink()
        plant()
        assert run(PREPARE, "lay-out", "--root", root).returncode == 0
        assert str(command.readlink()) == "/opt/heliochrome/appliance"
