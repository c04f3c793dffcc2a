"""docker/marketplace: what `prepare-instance seal` takes away, leaves and refuses."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from instance_dirt import DIRT, KEY, container, session, snapd
from instance_root import (
    MARKETPLACE,
    ROOT,
    as_root,
    copy,
    picture,
    run,
    seal,
    write,
)


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
    assert set(before) == set().union(*(dirt.points for dirt in removed))
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
def test_of_the_sessions_user_nothing_stays(root: Path) -> None:
    """Not even where it is one of several members."""
    session(root)
    for path, line in (
        ("etc/group", "docker:x:998:ecs-assist-user,keeper,ecs-assist-user2"),
        ("etc/gshadow", "docker:!:ecs-assist-user:keeper,ecs-assist-user"),
        ("etc/subuid", "ecs-assist-user:100000:65536"),
    ):
        write(root, path, (root / path).read_text() if (root / path).exists() else "")
        with (root / path).open("a") as stream:
            stream.write(f"{line}\n")
    assert seal(root).returncode == 0
    for path in ("etc/passwd", "etc/shadow", "etc/gshadow", "etc/subuid"):
        assert "ecs-assist-user" not in (root / path).read_text()
    assert (root / "etc/group").read_text() == (
        "root:x:0:\nsudo:x:27:keeper\nkeeper:x:1000:\ndocker:x:998:keeper,ecs-assist-user2\n"
    )
    assert (root / "etc/gshadow").read_text().endswith("\ndocker:!::keeper\n")
    assert not (root / "home/ecs-assist-user").exists()


@as_root
def test_of_the_snap_store_only_what_the_machine_is_known_by_goes(root: Path) -> None:
    snapd(root)
    assert seal(root).returncode == 0
    state = root / "var/lib/snapd/state.json"
    assert json.loads(state.read_text()) == {
        "data": {"auth": {"last-id": 1, "device": {"brand": "generic"}}},
        "changes": {},
    }
    assert state.stat().st_mode & 0o777 == 0o600
    state.write_text("no JSON")
    assert seal(root).returncode == 0
    assert state.read_text() == "no JSON"


@as_root
def test_names_and_hosts_are_written_whole(sealed: Path) -> None:
    assert (sealed / "etc/hostname").read_text() == "localhost\n"
    assert (sealed / "etc/hosts").read_text().splitlines() == [
        "127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback", "ff02::1 ip6-allnodes",
        "ff02::2 ip6-allrouters",
    ]  # fmt: skip


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
    assert "appliance backup" in done.stderr and "another machine" in done.stderr
    assert picture(root) == before
    assert seal(root, "--discard-photographs").returncode == 0
    assert not (root / volume).exists()


# --- Links ---------------------------------------------------------------------------------------


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
@pytest.mark.parametrize(
    "name",
    [
        "var/lib/docker/volumes/heliochrome_a\n0", "home/x\n0",
        "usr/local/share/aliyun-assist/x\n0/log",
    ],
)  # fmt: skip
def test_half_a_name_does_not_lead_out_of_the_root(root: Path, tmp_path: Path, name: str) -> None:
    """root0 lies beside the root."""
    neighbour = tmp_path / "root0"
    for path in ("photo.jpg", ".ssh/authorized_keys", ".config/a", "log/a.log"):
        write(neighbour, path)
    (root / name).mkdir(parents=True)
    before = picture(neighbour), picture(root)
    done = seal(root)
    assert done.returncode == 2 and "names of one line" in done.stderr
    assert (picture(neighbour), picture(root)) == before


def test_no_way_begins_without_a_slash(tmp_path: Path) -> None:
    """What is removed lies in the root, whatever was asked for."""
    write(tmp_path, "root0/photo.jpg")
    script = f'root=; . {MARKETPLACE}/root-folder.sh; root=$1; drop "$2"'
    for path in ("0", "0/photo.jpg", "", "/../root0"):
        assert run("sh", "-euc", script, "sh", tmp_path / "root", path).returncode == 0
        assert (tmp_path / "root0/photo.jpg").exists()


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
