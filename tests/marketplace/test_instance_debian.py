"""`prepare-instance install` and `seal` from end to end on a real Debian 12, made by mmdebstrap.

What is not real: apt installs empty packages in place of Docker's and NVIDIA's, curl gives the keys
that Debian ships for their repositories, docker and nvidia-ctk do what their next step needs.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from instance_checker import Image, wrong
from instance_root import IMAGE, MARKETPLACE, ROOT, run, seal, store_image, write

pytestmark = pytest.mark.container

INCLUDED = (
    "ca-certificates,cloud-guest-utils,cloud-init,cron,curl,dbus,extrepo-offline-data,gpg,iptables,"
    "open-iscsi,"
    "openssh-server,python3,rsyslog,sudo,systemd-sysv,unattended-upgrades"
)
STOOD_FOR = (
    "docker-ce", "docker-ce-cli", "containerd.io", "docker-buildx-plugin", "docker-compose-plugin",
    "nvidia-container-toolkit",
)  # fmt: skip
KEYS = "/usr/share/extrepo/offline-data/debian/bookworm"
STAND_INS = {
    "apt-get": """
case $1 in
    -s) exit 0 ;;
    install)
        for name; do
            if [ -e "/usr/lib/stand-in/$name.deb" ]; then dpkg -i "/usr/lib/stand-in/$name.deb"; fi
        done ;;
esac""",
    "curl": f"""
while [ "$1" != -o ]; do shift; done
case $3 in
    https://mirror.test/docker/debian/gpg) cp {KEYS}/docker-ce.asc "$2" ;;
    https://nvidia.github.io/libnvidia-container/gpgkey) cp {KEYS}/nvidia-docker.asc "$2" ;;
    *) exit 22 ;;
esac""",
    "docker": """
case $1 in
    load) cp -a /usr/lib/stand-in/store/var/lib/docker /var/lib/ ;;
    image) [ "$5" = localhost/heliochrome:gpu ] && cat /usr/lib/stand-in/image_id ;;
    *) exit 1 ;;
esac""",
    "nvidia-ctk": """
python3 - <<'END'
import json, pathlib
path = pathlib.Path("/etc/docker/daemon.json")
path.write_text(json.dumps({**json.loads(path.read_text()), "runtimes": {"nvidia": {}}}))
END""",
    "nvidia-smi": "echo 580.95.05",
    "systemctl": "",
    "journalctl": "",
    "swapoff": "",
    "fstrim": "",
}


def inside(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """In the root, with the stand-ins first in PATH, and mounts that end with the command."""
    script = 'mount --bind /dev "$0/dev" && mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
    return run(
        "unshare", "-m", "sh", "-c", script, root, *command,
        PATH="/usr/lib/stand-in:/usr/sbin:/usr/bin:/sbin:/bin",
    )  # fmt: skip


def install(root: Path) -> subprocess.CompletedProcess[str]:
    return inside(
        root, "/tmp/heliochrome/docker/marketplace/prepare-instance", "install",
        "--image", "/tmp/image.tar", "--docker-mirror", "https://mirror.test/docker/",
    )  # fmt: skip


def bring_scripts(root: Path) -> None:
    """As the seller has them on the instance; sealing takes them away with the rest of /tmp."""
    shutil.copytree(MARKETPLACE, root / "tmp/heliochrome/docker/marketplace")
    for name in ("appliance", "compose.yaml", "compose.gpu.yaml", "seccomp.json"):
        shutil.copy2(ROOT / "docker" / name, root / "tmp/heliochrome/docker" / name)
    write(root, "tmp/image.tar")


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """As the cloud gives it: a driver, the cloud assistant, and nothing of ours."""
    missing = [name for name in ("mmdebstrap", "unshare", "dpkg-deb") if not shutil.which(name)]
    if missing or os.geteuid() != 0:
        pytest.skip(f"root and {', '.join(missing) or 'its rights'} missing")
    folder = tmp_path_factory.mktemp("debian")
    root = folder / "root"
    made = run(
        "mmdebstrap", "--quiet", "--variant=minbase", f"--include={INCLUDED}", "bookworm", root
    )
    assert made.returncode == 0, made.stderr
    for name in STOOD_FOR:
        control = f"Package: {name}\nVersion: 1.0-1\nArchitecture: amd64\nMaintainer: a <a@b.c>\n"
        write(folder, f"{name}/DEBIAN/control", f"{control}Description: stands for it\n")
        (root / "usr/lib/stand-in").mkdir(exist_ok=True)
        built = run("dpkg-deb", "--build", folder / name, root / f"usr/lib/stand-in/{name}.deb")
        assert built.returncode == 0, built.stderr
    for name, text in STAND_INS.items():
        said = f'#!/bin/sh\nset -eu\necho "{name} $*" >>/usr/lib/stand-in/calls\n{text}\n'
        write(root, f"usr/lib/stand-in/{name}", said, 0o755)
    write(root, "usr/lib/stand-in/image_id", store_image(root / "usr/lib/stand-in/store", IMAGE))
    write(root, "usr/lib/x86_64-linux-gnu/libnvidia-ml.so.580.95.05")
    kernel = platform.release()
    write(root, f"boot/vmlinuz-{kernel}")
    write(root, f"usr/lib/modules/{kernel}/updates/dkms/nvidia.ko")
    write(root, "usr/local/share/aliyun-assist/2.2.4.1066/aliyun-service", mode=0o755)
    write(root, "etc/systemd/system/aliyun.service", "[Service]\n")
    wants = root / "etc/systemd/system/multi-user.target.wants"
    (wants / "aliyun.service").symlink_to("../aliyun.service")
    bring_scripts(root)
    yield root
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def installed(debian: Path) -> Path:
    done = install(debian)
    assert done.returncode == 0, done.stderr
    assert "Ready." in done.stderr
    return debian


def test_a_machine_that_nobody_prepared_does_not_seal_itself(debian: Path) -> None:
    """Said by mistake and without --root."""
    done = inside(debian, "/tmp/heliochrome/docker/marketplace/prepare-instance", "seal")
    assert done.returncode == 2 and "without /opt/heliochrome/prepared.json" in done.stderr
    assert (debian / "etc/ssh/ssh_host_ed25519_key").exists()
    assert not (debian / "usr/lib/stand-in/calls").exists()


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("nvidia-smi", "580.95.05", "570.86.10", "Came: 570.86.10"),
        ("curl", "docker-ce.asc", "nvidia-docker.asc", "Expected the key 9DC858229FC7DD38854AE2D8"),
        ("curl", "nvidia-docker.asc", "docker-ce.asc", "Expected the key C95B321B61E88C1809C4F759"),
        ("docker", "heliochrome:gpu", "heliochrome:cpu", "Name it with --image-name"),
    ],
)
def test_install_stops_where_something_is_wrong(
    debian: Path, name: str, old: str, new: str, said: str
) -> None:
    path = debian / "usr/lib/stand-in" / name
    before = path.read_text()
    assert old in before
    path.write_text(before.replace(old, new))
    done = install(debian)
    path.write_text(before)
    assert done.returncode == 2
    assert said in done.stderr and "Ready." not in done.stderr
    assert not (debian / "opt/heliochrome/prepared.json").exists()


def test_install_does_its_steps_in_order(installed: Path) -> None:
    calls = (installed / "usr/lib/stand-in/calls").read_text().splitlines()
    last = [
        "docker load --quiet --input /tmp/image.tar",
        "docker image inspect --format {{.Id}} localhost/heliochrome:gpu",
        "systemctl daemon-reload",
        "systemctl restart heliochrome-metadata",
        "systemctl try-reload-or-restart ssh",
        "apt-get -s full-upgrade",
    ]
    assert calls[-len(last) :] == last
    steps = (
        "nvidia-smi --query-gpu=driver_version", "apt-get full-upgrade -qy",
        "apt-get install -qy docker-ce ", "apt-get install -qy nvidia-container-toolkit",
        "nvidia-ctk runtime configure --runtime=docker", "systemctl restart docker",
    )  # fmt: skip
    found = [
        max(number for number, call in enumerate(calls) if call.startswith(step)) for step in steps
    ]
    assert found == sorted(found)
    assert (installed / "etc/apt/sources.list.d/docker.list").read_text() == (
        "deb [arch=amd64 signed-by=/etc/apt/keyrings/docker.asc] "
        "https://mirror.test/docker/debian bookworm stable\n"
    )


def test_the_command_finds_the_appliance_and_its_settings(installed: Path) -> None:
    """From another folder, and found in PATH: only .env in the appliance's folder says that there
    is a card."""
    called = installed / "usr/lib/stand-in/calls"
    before = called.read_text()
    inside(installed, "sh", "-c", "cd /tmp && PATH=$PATH:/usr/local/sbin && appliance status")
    said = called.read_text().removeprefix(before)
    assert re.search("^docker compose .*-f compose.yaml -f compose.gpu.yaml ps -a$", said, re.M)


def test_kernels_are_held_as_apt_reads_it(installed: Path) -> None:
    said = inside(installed, "apt-config", "dump", "Unattended-Upgrade::Package-Blacklist").stdout
    for name in ("linux-image", "linux-headers", "linux-modules"):
        assert f'Unattended-Upgrade::Package-Blacklist:: "{name}";' in said


def test_only_what_seal_takes_away_is_wrong_before_it(installed: Path) -> None:
    found = wrong(Image(installed))
    assert set(found) >= {"host-keys", "logs", "temporary"}
    assert set(found) <= {
        "host-keys", "logs", "temporary", "identity", "names", "apt-caches", "passwords", "seeds",
    }  # fmt: skip


def test_sealed_from_outside_and_from_inside_it_may_be_sold(installed: Path) -> None:
    """The second is the way of a running instance. Each time its unit's command then makes other
    host keys and an iSCSI name, and sshd takes no passwords."""
    root = installed
    keys = {(root / "etc/ssh/ssh_host_ed25519_key").read_bytes()}
    scripts = "/tmp/heliochrome/docker/marketplace"
    for sealing in (
        lambda: seal(root),
        lambda: inside(root, f"{scripts}/prepare-instance", "seal"),
    ):
        if not (root / "tmp/heliochrome").exists():
            bring_scripts(root)
        done = sealing()
        assert done.returncode == 0, done.stderr
        assert wrong(Image(root)) == {}
        assert not list((root / "tmp").iterdir())
        assert inside(root, "/lib/open-iscsi/startup-checks.sh").returncode == 0
        keys.add((root / "etc/iscsi/initiatorname.iscsi").read_bytes())
        assert inside(root, "ssh-keygen", "-A").returncode == 0
        keys.add((root / "etc/ssh/ssh_host_ed25519_key").read_bytes())
        said = inside(root, "/usr/sbin/sshd", "-T").stdout.splitlines()
        assert {
            "passwordauthentication no", "kbdinteractiveauthentication no",
            "permitemptypasswords no", "permitrootlogin without-password",
        } <= set(said)  # fmt: skip
        write(root, "var/log/syslog")
        write(root, "root/.ssh/authorized_keys", "ssh-ed25519 AAAA seller\n")
    assert len(keys) == 3 + 2
    assert "systemctl poweroff --force --force" in done.stderr
    calls = (root / "usr/lib/stand-in/calls").read_text().splitlines()
    assert {"journalctl --relinquish-var", "systemctl stop docker.socket"} <= set(calls)
