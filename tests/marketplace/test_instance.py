"""docker/marketplace: prepare-instance run on root file systems, and check_instance on those."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from instance_checker import POINTS, Image, fingerprints, packages, wrong
from instance_dirt import DIRT, KEY, Dirt, container
from instance_root import (
    MARKETPLACE,
    PREPARE,
    ROOT,
    copy,
    lay_root,
    make_key,
    picture,
    run,
    seal,
    write,
)

SCRIPTS = ("prepare-instance", "seal-instance", "root-folder.sh", "close-metadata")
CHECKER = MARKETPLACE / "check_instance"
UNITS = ("heliochrome", "heliochrome-metadata", "heliochrome-host-keys")

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="files of root are made by root")


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is missing")
    return found


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    tool("gpg")
    return make_key(tmp_path_factory.mktemp("key"))


@pytest.fixture(scope="session")
def check(key: tuple[Path, str]) -> Callable[..., dict[str, list[str]]]:
    """What check_instance finds wrong, by point; the key of the day in place of the pinned."""
    keys = dict.fromkeys(packages.KEYS, key[1])

    def found(root: Path, card: bool = True) -> dict[str, list[str]]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(packages, "KEYS", keys)
            return wrong(Image(root, card))

    return found


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, key: tuple[Path, str]) -> Path:
    return lay_root(tmp_path_factory.mktemp("prepared") / "root", key[0])


@pytest.fixture(scope="session")
def sealed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = copy(prepared, tmp_path_factory.mktemp("sealed") / "root")
    done = seal(root)
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture
def root(prepared: Path, tmp_path: Path) -> Path:
    """One that may be spoilt."""
    return copy(prepared, tmp_path / "root")


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


def test_the_checker_reads_fingerprints_as_gpg_does(key: tuple[Path, str], tmp_path: Path) -> None:
    path, fingerprint = key
    assert fingerprints(path.read_bytes()) == [fingerprint]
    binary = tmp_path / "key.gpg"
    assert run("gpg", "--batch", "--dearmor", "-o", binary, path).returncode == 0
    assert fingerprints(binary.read_bytes()) == [fingerprint]
    assert fingerprints(b"<html>") == fingerprints(b"") == []


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
def test_on_a_processor_the_card_is_not_asked_for(
    root: Path, check: Callable[..., dict[str, list[str]]]
) -> None:
    assert run(PREPARE, "lay-out", "--root", root, "--cpu").returncode == 0
    text = (root / "opt/heliochrome/.env").read_text()
    assert "HELIOCHROME_IMAGE=localhost/heliochrome:cpu\nHELIOCHROME_GPU=0\n" in text
    seal(root)
    shutil.rmtree(root / "usr/lib/modules")
    assert set(check(root, card=False)) == {"image"}  # the store holds the other image


@as_root
def test_nothing_is_laid_through_a_link(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for folder in ("opt/heliochrome", "usr/local/sbin", "etc/systemd/system/docker.service.wants"):
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


# --- seal and check ------------------------------------------------------------------------------


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
    assert set(check(root)) == {dirt.point}


@as_root
def test_seal_takes_away_all_that_it_promises(
    root: Path, check: Callable[..., dict[str, list[str]]]
) -> None:
    """All kinds at once."""
    removed = [dirt for dirt in DIRT if dirt.sealed]
    for dirt in removed:
        dirt.plant(root)
    before = check(root)
    # A host key that is not one of the instance's own is both, and fstab and the file are one swap.
    assert set(before) == {dirt.point for dirt in removed}
    done = seal(root)
    assert done.returncode == 0, done.stderr
    assert check(root) == {}
    assert not (root / "var/lib/docker/overlay2" / ("b" * 64)).exists()
    assert not (root / "var/lib/docker/overlay2" / ("b" * 64 + "-init")).exists()
    assert (root / "var/lib/docker/overlay2/layer0/diff/a").exists()
    assert (root / "etc/shadow").stat().st_mode & 0o777 == 0o640
    assert (root / "var/log/apt").is_dir() and (root / "root/.bashrc").is_file()
    assert (
        "smith:*:20000::::::\njones:*:20000::::::\nnopass:*:20000"
        in (root / "etc/shadow").read_text()
    )


@as_root
def test_seal_changes_nothing_the_second_time(sealed: Path, tmp_path: Path) -> None:
    root = copy(sealed, tmp_path / "root")

    def known() -> dict[str, tuple[int, str]]:
        return {path: (mode, said) for path, (mode, _, said) in picture(root).items()}

    before = known()
    assert seal(root).returncode == 0
    assert known() == before


@as_root
def test_what_a_buyer_needs_stays(root: Path) -> None:
    for name in ("opt/heliochrome/models/ddcolor_v2.safetensors", "etc/cloud/cloud.cfg.d/90.cfg"):
        write(root, name)
    before = picture(root)
    done = seal(root)
    gone = {path for path in before if path not in picture(root)}
    assert done.returncode == 0
    assert gone == {"root/.ssh", "home/keeper/.ssh"}
    assert "cloud assistant" not in done.stderr


@as_root
def test_without_the_cloud_assistant_it_says_so(root: Path) -> None:
    shutil.rmtree(root / "usr/local/share/aliyun-assist")
    done = seal(root)
    assert done.returncode == 0 and "The cloud assistant is not below" in done.stderr


@as_root
@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("opt/heliochrome/prepared.json", "without /opt/heliochrome/prepared.json"),
        ("etc/shadow", "without a file /etc/shadow"),
        ("var/lib/dpkg/status", "without a file /var/lib/dpkg/status"),
        ("usr/lib/os-release", "without a file /usr/lib/os-release"),
    ],
)
def test_seal_refuses_what_is_no_prepared_root(root: Path, path: str, said: str) -> None:
    (root / path).unlink()
    before = picture(root)
    done = seal(root)
    assert (done.returncode, said in done.stderr) == (2, True)
    assert picture(root) == before


@as_root
def test_seal_refuses_other_folders_and_systems(root: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for other in (empty, tmp_path / "none", ROOT):
        done = seal(other)
        assert done.returncode == 2 and "Expected a" in done.stderr
    write(root, "usr/lib/os-release", "ID=fedora\nVERSION_ID=42\n")
    assert "Came: ID=fedora" in seal(root).stderr


@as_root
def test_without_anything_that_makes_host_keys_they_stay(root: Path) -> None:
    wants = root / "etc/systemd/system/multi-user.target.wants"
    (wants / "heliochrome-host-keys.service").unlink()
    write(root, "etc/ssh/ssh_host_rsa_key", KEY)
    assert seal(root).returncode == 0  # cloud-init has its ssh module
    for text in (" - ssh_authkey_fingerprints\n", "# - ssh\n"):
        write(root, "etc/cloud/cloud.cfg", f"cloud_init_modules:\n{text}")
        key_file = write(root, "etc/ssh/ssh_host_rsa_key", KEY)
        done = seal(root)
        assert done.returncode == 2 and "heliochrome-host-keys.service" in done.stderr
        assert key_file.exists()


@as_root
def test_network_settings_stay_where_cloud_init_would_not_make_them(root: Path) -> None:
    write(root, "etc/netplan/50-cloud-init.yaml", "dhcp4: true\n")
    write(root, "etc/cloud/cloud.cfg.d/99-off.cfg", "network: {config: disabled}\n")
    assert seal(root).returncode == 0
    assert (root / "etc/netplan/50-cloud-init.yaml").exists()


@as_root
def test_photographs_are_not_thrown_away_unless_it_is_said(root: Path) -> None:
    volume = "var/lib/docker/volumes/heliochrome_studio"
    write(root, f"{volume}/_data/studio/jobs/1/photo.jpg")
    write(root, "root/.bash_history")
    container(root)
    before = picture(root)
    done = seal(root)
    assert done.returncode == 2
    assert "1 files below" in done.stderr and "--discard-photographs" in done.stderr
    assert "appliance backup" in done.stderr
    assert picture(root) == before
    assert seal(root, "--discard-photographs").returncode == 0
    assert not (root / volume).exists()


# --- Links ---------------------------------------------------------------------------------------


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """What belongs to the machine that the disk is mounted on."""
    folder = tmp_path / "outside"
    for name in ("authorized_keys", "deep/a.log", "hosts", "photo.jpg", "machine-id"):
        write(folder, name, f"the machine's own {name}\n")
    return folder


LINKS = (
    ("root/.ssh", ""),
    ("root/.cache", ""),
    ("home/keeper/.ssh/authorized_keys", "authorized_keys"),
    ("home/stranger", ""),
    ("var/log/syslog", "deep/a.log"),
    ("var/log/journal", "deep"),
    ("var/tmp/a", ""),
    ("tmp/a", "deep"),
    ("var/lib/cloud/instance", "deep"),
    ("etc/machine-id", "machine-id"),
    ("etc/hostname", "hosts"),
    ("etc/hosts", "hosts"),
    ("etc/fstab", "hosts"),
    ("etc/gshadow", "hosts"),
    ("etc/resolv.conf", "hosts"),
    ("etc/ssh/ssh_host_rsa_key", "authorized_keys"),
    ("opt/heliochrome/secrets", ""),
    ("swapfile", "photo.jpg"),
    ("var/lib/docker/volumes/heliochrome_studio", ""),
    ("var/lib/docker/containers/" + "a" * 64, ""),
    ("usr/local/share/aliyun-assist/hybrid", ""),
)


@as_root
def test_no_link_leads_seal_out_of_the_root(root: Path, outside: Path) -> None:
    for path, target in LINKS:
        place = root / path
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        place.unlink(missing_ok=True)
        place.symlink_to(outside / target)
    with (root / "etc/passwd").open("a") as stream:
        stream.write("far:x:1002:1002::/../outside:/usr/sbin/nologin\n")
    before = picture(outside)
    done = seal(root)
    assert done.returncode == 0, done.stderr
    assert picture(outside) == before
    assert not (root / "root/.ssh").is_symlink()


@as_root
def test_another_name_of_the_same_file_is_not_written_to(root: Path, outside: Path) -> None:
    for path in ("etc/hosts", "var/log/syslog", "root/.ssh/authorized_keys", "etc/machine-id"):
        (root / path).unlink(missing_ok=True)
        os.link(outside / "hosts", root / path)
    before = picture(outside)
    assert seal(root).returncode == 0
    assert picture(outside) == before


@as_root
@pytest.mark.parametrize(
    "path",
    ["var/log", "home", "root", "etc/ssh", "var/lib/docker", "var/lib/docker/volumes", "tmp"],
)
def test_a_link_in_place_of_a_folder_is_refused(root: Path, outside: Path, path: str) -> None:
    shutil.rmtree(root / path)
    (root / path).symlink_to(outside)
    before = picture(outside), picture(root)
    done = seal(root)
    assert done.returncode == 2 and "a link" in done.stderr
    assert (picture(outside), picture(root)) == before


@as_root
@pytest.mark.parametrize("home", ["/../outside", "/home/away"])
def test_a_persons_home_that_leads_elsewhere_is_refused(
    root: Path, outside: Path, home: str
) -> None:
    (root / "home/away").symlink_to(outside)
    with (root / "etc/passwd").open("a") as stream:
        stream.write(f"far:x:1002:1002::{home}:/bin/bash\n")
    before = picture(outside), picture(root)
    done = seal(root)
    assert done.returncode == 2 and "homes that are folders" in done.stderr
    assert (picture(outside), picture(root)) == before


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
    key = write(root, "srv/keys/authorized_keys", "ssh-ed25519 AAAA seller\n")
    (root / "home/keeper/.ssh").symlink_to("/srv/keys")
    assert check(root) == {"authorized-keys": ["home/keeper/.ssh/authorized_keys"]}
    key.unlink()
    (root / "home/keeper/.ssh").unlink()
    outside = write(tmp_path, "outside/authorized_keys", "ssh-ed25519 AAAA buyer\n")
    (root / "home/keeper/.ssh").symlink_to(outside.parent)
    assert check(root) == {}


# --- The checker's own words ---------------------------------------------------------------------


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
def test_a_file_name_cannot_write_lines(sealed: Path, tmp_path: Path) -> None:
    root = copy(sealed, tmp_path / "root")
    write(root, "root/a\nok   passwords: \x1b[2J")
    done = run("python3", "-B", CHECKER, root)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FAIL leftovers")]
    assert r"root/a\nok" in line and "\x1b" not in done.stdout
