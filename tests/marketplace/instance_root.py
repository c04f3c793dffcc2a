"""A root file system laid by hand, as `prepare-instance install` leaves an instance."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from datetime import datetime, timezone
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MARKETPLACE = ROOT / "docker" / "marketplace"
PREPARE = MARKETPLACE / "prepare-instance"
IMAGE = "localhost/heliochrome:gpu"
KERNEL = "6.1.0-40-cloud-amd64"
PACKAGES = (
    "base-files", "cloud-guest-utils", "cloud-init", "containerd.io", "docker-buildx-plugin",
    "docker-ce", "docker-ce-cli", "docker-compose-plugin", "nvidia-container-toolkit",
    "openssh-server", "unattended-upgrades",
)  # fmt: skip
TEXTS = {
    "usr/lib/os-release": 'NAME="Debian GNU/Linux"\nID=debian\nVERSION_ID="12"\n',
    "etc/passwd": (
        "root:x:0:0:root:/root:/bin/bash\nsync:x:4:65534:sync:/bin:/bin/sync\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
        "keeper:x:1000:1000::/home/keeper:/bin/bash\n"
    ),
    "etc/shadow": "root:*:20000:0:99999:7:::\nnobody:*:20000::::::\nkeeper:!:20000::::::\n",
    "etc/group": "root:x:0:\nsudo:x:27:keeper\nkeeper:x:1000:\n",
    "etc/gshadow": "root:*::\nsudo:*::keeper\nkeeper:!::\n",
    "etc/ssh/sshd_config": "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\n",
    "usr/bin/cloud-init": "#!/usr/bin/python3\n",
    "etc/fstab": "UUID=0000-1111 / ext4 defaults 0 1\n",
    "etc/machine-id": "",
    "etc/sudoers": "root ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) ALL\n",
    "etc/docker/daemon.json": json.dumps(
        {"features": {"containerd-snapshotter": False}, "runtimes": {"nvidia": {}}}
    ),
    "root/.bashrc": "# ~/.bashrc\n",
    "home/keeper/.profile": "# ~/.profile\n",
    "usr/lib/x86_64-linux-gnu/libnvidia-ml.so.580.95.05": "a library\n",
    f"boot/vmlinuz-{KERNEL}": "a kernel\n",
    f"usr/lib/modules/{KERNEL}/updates/dkms/nvidia.ko.xz": "a module\n",
    "etc/default/ssh": "# Options to pass to sshd\nSSHD_OPTS=\n",
    "etc/iscsi/initiatorname.iscsi": "GenerateName=yes\n",
    "usr/local/share/aliyun-assist/2.2.4.1066/aliyun-service": "a program\n",
    "etc/systemd/system/aliyun.service": "[Service]\n",
    "etc/default/keyboard": "XKBLAYOUT=us\nKEYMAP=us\n",
    "etc/network/interfaces": "auto lo\niface lo inet loopback\n",
    "etc/pam.d/common-auth": (
        "# written\nauth\t[success=1 default=ignore]\tpam_unix.so nullok\n"
        "auth\trequisite\tpam_deny.so\nauth\trequired\tpam_permit.so\n"
    ),
    "etc/pam.d/common-session": (
        "session\t[default=1]\tpam_permit.so\nsession\trequired\tpam_permit.so\n"
        "session\trequired\tpam_unix.so\n"
    ),
}
# What packages bring, and dpkg knows the content of; of etc as settings, which it lists elsewhere.
PACKAGED = {
    "cloud-init": {
        "etc/cloud/cloud.cfg": (
            "users:\n  - default\ncloud_init_modules:\n - seed_random\n - ssh\n - set_hostname\n"
            "system_info:\n  default_user:\n    name: debian\n    lock_passwd: True\n"
            '    sudo: ["ALL=(ALL) NOPASSWD:ALL"]\n  ssh_svcname: ssh\n'
        )
    },
    "cron": {
        "etc/crontab": "17 * * * * root run-parts /etc/cron.hourly\n",
        "lib/systemd/system/cron.service": "[Service]\nExecStart=/usr/sbin/cron -f\n",
    },
    "ifupdown": {"etc/network/if-up.d/wait": "#!/bin/sh\n"},
    "iputils-ping": {"bin/ping": "a program\n"},
    "libpam-runtime": {
        "etc/pam.d/su": "auth sufficient pam_rootok.so\n@include common-auth\n",
        "usr/share/pam/common-auth": (
            "$auth_primary\nauth\trequisite\tpam_deny.so\nauth\trequired\tpam_permit.so\n"
            "$auth_additional\n"
        ),
        "usr/share/pam/common-session": "$session_primary\nsession required pam_permit.so\n",
        "usr/share/pam-configs/unix": (
            "Name: Unix\nAuth-Type: Primary\nAuth-Initial:\n"
            "\t[success=end default=ignore]\tpam_unix.so nullok\nSession-Type: Additional\n"
            "Session:\n\trequired\tpam_unix.so\n"
        ),
    },
    "udev": {"lib/udev/rules.d/50-default.rules": 'SUBSYSTEM=="tty", MODE="0620"\n'},
}
FOLDERS = (
    "tmp", "var/tmp", "var/log/apt", "var/log/journal", "var/lib/apt/lists", "var/lib/cloud",
    "var/lib/docker/volumes", "var/lib/docker/containers", "var/cache/apt/archives", "var/mail",
    "var/spool/cron/crontabs", "var/backups", "root/.ssh", "home/keeper/.ssh",
    "usr/local/share/aliyun-assist/2.2.4.1066/log", "usr/local/share/aliyun-assist/work/script",
)  # fmt: skip


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="files of root are made by root")


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is missing")
    return found


def write(root: Path, path: str, text: str = "left behind\n", mode: int = 0o644) -> Path:
    """A file, with the folders on its way, in place of a link. Returns where it is."""
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink():  # it would lead to a file of this machine
        target.unlink()
    target.write_text(text)
    target.chmod(mode)
    return target


def run(*command: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """prepare-instance or another program, with PATH and what is given."""
    return subprocess.run(
        command, env={"PATH": os.environ["PATH"], **environ}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def seal(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return run(PREPARE, "seal", "--root", root, *options)


def make_key(folder: Path) -> tuple[Path, str]:
    """An OpenPGP key of the day, with a subkey, and its fingerprint."""
    home = folder / "gnupg"
    home.mkdir(mode=0o700)
    gpg = ("gpg", "--homedir", home, "--batch", "--quiet", "--passphrase", "")
    made = run(*gpg, "--quick-generate-key", "test <test@localhost>", "rsa2048", "sign", "never")
    assert made.returncode == 0, made.stderr
    listed = run(*gpg, "--with-colons", "--list-keys").stdout
    found = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
    run(*gpg, "--quick-add-key", found, "rsa2048", "encr", "never")
    armoured = run(*gpg, "--armor", "--export", found).stdout
    run("gpgconf", "--homedir", home, "--kill", "all")
    return write(folder, "key.asc", armoured), found


def now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def store_image(root: Path, name: str) -> str:
    """An image of two layers in Docker's store. Returns its ID."""
    layers = [f"sha256:{hashlib.sha256(name.encode()).hexdigest()}" for name in ("one", "two")]
    content = json.dumps({"architecture": "amd64", "rootfs": {"diff_ids": layers}})
    digest = hashlib.sha256(content.encode()).hexdigest()
    store = "var/lib/docker/image/overlay2"
    write(root, f"{store}/imagedb/content/sha256/{digest}", content)
    names = {name.rpartition(":")[0]: {name: f"sha256:{digest}"}}
    write(root, f"{store}/repositories.json", json.dumps({"Repositories": names}))
    chain = layers[0]
    for number, layer in enumerate(layers):
        if number:
            chain = "sha256:" + hashlib.sha256(f"{chain} {layer}".encode()).hexdigest()
        write(root, f"{store}/layerdb/sha256/{chain.partition(':')[2]}/cache-id", f"layer{number}")
        write(root, f"var/lib/docker/overlay2/layer{number}/diff/a", "of a layer\n")
    return f"sha256:{digest}"


def lay_package(root: Path, name: str) -> str:
    """Its files, and dpkg's lists of them. Returns what the status says of its settings."""
    files = PACKAGED.get(name, {})
    sums = {path: hashlib.md5(text.encode()).hexdigest() for path, text in files.items()}
    for path, text in files.items():
        write(root, path, text)
    info = f"var/lib/dpkg/info/{name}"
    write(root, f"{info}.list", "".join(f"/{path}\n" for path in files))
    write(root, f"{info}.md5sums", "".join(
        f"{digest}  {path}\n" for path, digest in sums.items() if not path.startswith("etc/")
    ))  # fmt: skip
    settings = [f" /{path} {digest}" for path, digest in sums.items() if path.startswith("etc/")]
    return "\n".join(["Conffiles:", *settings, ""]) if settings else ""


def lay_root(root: Path, key: Path) -> Path:
    """The whole tree, our files laid by prepare-instance itself; key signs both repositories."""
    for name in FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("bin", "sbin", "lib"):
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")
    (root / "tmp").chmod(0o1777)
    for path, text in TEXTS.items():
        write(root, path, text, 0o755 if path.startswith("usr/bin/") else 0o644)
    (root / "etc/shadow").chmod(0o640)
    (root / "etc/resolv.conf").symlink_to("/run/systemd/resolve/stub-resolv.conf")
    entries = [
        f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0-1\n"
        f"{lay_package(root, name)}"
        for name in (*PACKAGES, *sorted(PACKAGED.keys() - PACKAGES))
    ]
    write(root, "var/lib/dpkg/status", "\n".join(entries))
    for name, line in (
        ("docker", "deb [arch=amd64 signed-by=@] https://docker.test/linux/debian bookworm stable"),
        ("nvidia-container-toolkit", "deb [signed-by=@] https://toolkit.test/stable/deb/amd64 /"),
    ):
        kept = f"/etc/apt/keyrings/{name}.asc"
        write(root, kept[1:], key.read_text())
        write(root, f"etc/apt/sources.list.d/{name}.list", f"{line.replace('@', kept)}\n")
    done = run(PREPARE, "lay-out", "--root", root)
    assert done.returncode == 0, done.stderr
    record = {
        "time": now(), "system": "debian 12", "docker": "5:29.0.1-1", "compose": "2.40.0-1",
        "toolkit": "1.18.0-1", "driver": "580.95.05", "image": IMAGE,
        "image_id": store_image(root, IMAGE), "updates_waiting": 0,
    }  # fmt: skip
    write(root, "opt/heliochrome/prepared.json", json.dumps(record))
    wants = root / "etc/systemd/system/multi-user.target.wants"
    (wants / "aliyun.service").symlink_to("../aliyun.service")
    return root


def copy(root: Path, target: Path) -> Path:
    """As it is, devices too: shutil would read /dev/zero to its end."""
    target.mkdir()
    subprocess.run(["cp", "-a", f"{root}/.", target], check=True)
    return target


def picture(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Of all that lies in a folder: mode, time of the last change, content or where it leads."""
    found: dict[str, tuple[int, int, str]] = {}
    for path in sorted(folder.rglob("*")):
        known = path.lstat()
        if path.is_symlink():
            said = str(path.readlink())
        elif path.is_file():
            said = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            said = ""
        found[path.relative_to(folder).as_posix()] = (known.st_mode, known.st_mtime_ns, said)
    return found
