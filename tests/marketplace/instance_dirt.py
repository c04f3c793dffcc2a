"""What a machine image must not hold, or must not lack: for each point of check_instance."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from instance_root import KERNEL, write

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----\n"
HASH = "$y$j9T$abcdefgh$0123456789"
ASSIST = "usr/local/share/aliyun-assist"


@dataclass(frozen=True)
class Dirt:
    """plant: makes it in a root. sealed: whether `seal` takes it away."""

    point: str
    said: str
    plant: Callable[[Path], Any]
    sealed: bool = True

    def __str__(self) -> str:
        return f"{self.point}: {self.said}"


def left(point: str, path: str, text: str = "left behind\n", sealed: bool = True) -> Dirt:
    return Dirt(point, path, lambda root: write(root, path, text), sealed)


def added(point: str, path: str, line: str, sealed: bool = True) -> Dirt:
    def plant(root: Path) -> None:
        before = (root / path).read_text()
        (root / path).write_text(before + line + "\n")

    return Dirt(point, f"{path} with {line}", plant, sealed)


def without(point: str, path: str) -> Dirt:
    def plant(root: Path) -> None:
        target = root / path
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        else:
            target.unlink()

    return Dirt(point, f"without {path}", plant, sealed=False)


def changed(point: str, path: str, old: str, new: str) -> Dirt:
    def plant(root: Path) -> None:
        before = (root / path).read_text()
        assert old in before
        (root / path).write_text(before.replace(old, new))

    return Dirt(point, f"{path}: {old!r} -> {new!r}", plant, sealed=False)


def mode(point: str, path: str, bits: int) -> Dirt:
    def plant(root: Path) -> None:
        if not (root / path).exists():
            write(root, path)
        (root / path).chmod(bits)

    return Dirt(point, f"{path} {bits:o}", plant, sealed=False)


def link(point: str, path: str, target: str, sealed: bool = True) -> Dirt:
    def plant(root: Path) -> None:
        (root / path).unlink(missing_ok=True)
        (root / path).symlink_to(target)

    return Dirt(point, f"{path} -> {target}", plant, sealed)


def package_gone(point: str, name: str) -> Dirt:
    there, gone = "install ok installed", "deinstall ok config-files"
    entry = f"Package: {name}\nStatus: "
    return changed(point, "var/lib/dpkg/status", entry + there, entry + gone)


def recorded(point: str, name: str, value: object) -> Dirt:
    def plant(root: Path) -> None:
        path = root / "opt/heliochrome/prepared.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))

    return Dirt(point, f"prepared.json with {name} {value!r}", plant, sealed=False)


def container(root: Path) -> None:
    """As Docker leaves one: its own folder and its two layers."""
    name, layer = "a" * 64, "b" * 64
    write(root, f"var/lib/docker/containers/{name}/{name}-json.log")
    write(root, f"var/lib/docker/image/overlay2/layerdb/mounts/{name}/mount-id", layer)
    write(root, f"var/lib/docker/overlay2/{layer}/diff/photo.jpg")
    write(root, f"var/lib/docker/overlay2/{layer}-init/diff/a")


def volume(root: Path) -> None:
    """Of the appliance, with nothing in it."""
    (root / "var/lib/docker/volumes/heliochrome_studio/_data").mkdir(parents=True)


UNITS = "etc/systemd/system"
DIRT = (
    # What `install` leaves.
    changed("system", "usr/lib/os-release", "12", "13"),
    changed("packages", "var/lib/dpkg/status",
            "Package: base-files\nStatus: install ok installed",
            "Package: base-files\nStatus: install ok half-configured"),
    package_gone("docker", "docker-ce"),
    package_gone("docker", "containerd.io"),
    package_gone("compose", "docker-compose-plugin"),
    package_gone("compose", "docker-buildx-plugin"),
    package_gone("toolkit", "nvidia-container-toolkit"),
    left("toolkit", "etc/docker/daemon.json", "{}", sealed=False),
    without("driver", "usr/lib/x86_64-linux-gnu/libnvidia-ml.so.580.95.05"),
    left("driver", "usr/lib/x86_64-linux-gnu/libnvidia-ml.so.570.86.10", sealed=False),
    without("driver-module", f"usr/lib/modules/{KERNEL}/updates/dkms/nvidia.ko.xz"),
    left("driver-module", "boot/vmlinuz-6.1.0-41-cloud-amd64", sealed=False),
    changed("repositories", "etc/apt/sources.list.d/docker.list", "https:", "http:"),
    changed("repositories", "etc/apt/sources.list.d/docker.list", "arch=amd64", "trusted=yes"),
    left("repositories", "etc/apt/keyrings/docker.asc", "no key", sealed=False),
    left("repositories", f"{UNITS}/../../apt/sources.list.d/more.sources", "Trusted: yes\n",
         sealed=False),
    added("files", "opt/heliochrome/compose.yaml", "# another", sealed=False),
    mode("files", "opt/heliochrome/appliance", 0o775),
    without("files", "etc/motd.d/heliochrome"),
    link("command", "usr/local/sbin/appliance", "/opt/other/appliance", sealed=False),
    left("command", "usr/local/sbin/appliance", "#!/bin/sh\n", sealed=False),
    without("command", "usr/local/sbin/appliance"),
    changed("settings", "opt/heliochrome/.env", "0.0.0.0", "127.0.0.1"),
    changed("settings", "opt/heliochrome/.env", "GPU=1", "GPU=0"),
    changed("image", "opt/heliochrome/.env", "heliochrome:gpu", "heliochrome:other"),
    without("image", "var/lib/docker/overlay2/layer1"),
    recorded("image", "image_id", "sha256:0"),
    without("units", f"{UNITS}/multi-user.target.wants/heliochrome.service"),
    without("units", f"{UNITS}/docker.service.wants/heliochrome-metadata.service"),
    link("units", f"{UNITS}/docker.service", "/dev/null", sealed=False),
    left("sshd", "etc/ssh/sshd_config.d/05-first.conf", "PasswordAuthentication yes\n",
         sealed=False),
    added("sshd", "etc/ssh/sshd_config", "Match User keeper\n  PasswordAuthentication yes",
          sealed=False),
    left("sshd", "etc/ssh/sshd_config.d/60-keys.conf", "AuthorizedKeysFile /etc/keys/%u\n",
         sealed=False),
    left("sshd", "etc/ssh/sshd_config.d/60-ca.conf", "TrustedUserCAKeys /etc/ssh/ca.pub\n",
         sealed=False),
    package_gone("upgrades", "unattended-upgrades"),
    left("upgrades", "etc/apt/apt.conf.d/99local", 'APT::Periodic::Unattended-Upgrade "0";\n',
         sealed=False),
    link("upgrades", f"{UNITS}/apt-daily-upgrade.timer", "/dev/null", sealed=False),
    recorded("record", "time", "2020-01-01T00:00:00Z"),
    recorded("record", "time", "yesterday"),
    recorded("record", "updates_waiting", 3),
    recorded("record", "host", "iZbp1"),
    package_gone("cloud-init", "cloud-init"),
    left("cloud-init", "etc/cloud/cloud-init.disabled", sealed=False),
    without("assistant", f"{ASSIST}/2.2.4.1066/aliyun-service"),
    without("assistant", f"{UNITS}/multi-user.target.wants/aliyun.service"),
    # What `seal` takes away.
    added("passwords", "etc/shadow", f"smith:{HASH}:20000::::::"),
    added("passwords", "etc/shadow", f"jones:!{HASH}:20000::::::"),
    added("passwords", "etc/shadow", "nopass::20000::::::"),
    added("passwords", "etc/gshadow", f"smiths:{HASH}::"),
    added("passwords", "etc/passwd", f"old:{HASH}:1001:1001::/home/old:/usr/sbin/nologin"),
    left("passwords", "etc/shadow-"),
    left("passwords", "var/backups/shadow.bak"),
    added("only-root", "etc/passwd", "toor:x:0:0::/root:/bin/bash", sealed=False),
    left("authorized-keys", "root/.ssh/authorized_keys", "ssh-ed25519 AAAA seller\n"),
    left("authorized-keys", "home/keeper/.ssh/authorized_keys2", "ssh-ed25519 AAAA seller\n"),
    left("authorized-keys", "home/stranger/.ssh/authorized_keys", "ssh-ed25519 AAAA seller\n"),
    left("host-keys", "etc/ssh/ssh_host_ed25519_key", KEY),
    left("host-keys", "etc/ssh/ssh_host_ed25519_key.pub"),
    left("private-keys", "root/.ssh/id_ed25519", KEY),
    left("private-keys", "root/deploy.pem", KEY, sealed=False),
    left("private-keys", "etc/ssl/private/own.key", KEY, sealed=False),
    left("credentials", "home/keeper/.docker/config.json", '{"auths": {}}'),
    left("credentials", "root/.aliyun/config.json"),
    left("credentials", "root/.aws/credentials"),
    left("credentials", "etc/apt/auth.conf", "machine a login b password c\n"),
    left("history", "root/.bash_history"),
    left("history", "home/keeper/.lesshst"),
    left("history", "home/keeper/.cache/pip/a"),
    left("history", "root/.ssh/known_hosts"),
    left("leftovers", "root/heliochrome.tar", sealed=False),
    left("leftovers", "home/keeper/notes/a.txt", sealed=False),
    left("identity", "etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
    left("identity", "var/lib/dbus/machine-id", "0123456789abcdef0123456789abcdef\n"),
    left("identity", "var/lib/docker/engine-id", "0b7f"),
    without("identity", "etc/machine-id"),
    left("seeds", "var/lib/systemd/random-seed"),
    left("seeds", "var/lib/systemd/credential.secret"),
    left("logs", "var/log/syslog"),
    left("logs", "var/log/apt/history.log"),
    left("logs", "var/log/wtmp"),
    left("logs", "var/log/journal/0123456789abcdef0123456789abcdef/system.journal"),
    left("cloud-state", "var/lib/cloud/instances/i-bp1/user-data.txt"),
    left("cloud-state", "etc/sudoers.d/90-cloud-init-users", "ecs-user ALL=(ALL) NOPASSWD:ALL\n"),
    left("cloud-state", "etc/ssh/sshd_config.d/50-cloud-init.conf", "PasswordAuthentication no\n"),
    left("assistant-work", f"{ASSIST}/work/script/t-hz01.sh"),
    left("assistant-work", f"{ASSIST}/2.2.4.1066/log/aliyun_assist_main.log"),
    left("leases", "var/lib/dhcp/dhclient.eth0.leases"),
    left("network", "etc/netplan/50-cloud-init.yaml", "macaddress: 00:16:3e:12:34:56\n"),
    left("network", "etc/udev/rules.d/70-persistent-net.rules", '"00:16:3e:12:34:56"\n'),
    left("network", "etc/netplan/01-own.yaml", "macaddress: 00:16:3e:12:34:56\n", sealed=False),
    left("names", "etc/hostname", "iZbp1h4adlltjc1d48goaqZ\n"),
    left("names", "etc/hosts", "127.0.0.1 localhost\n172.16.181.225 iZbp1 iZbp1\n"),
    left("apt-caches", "var/lib/apt/lists/deb.debian.org_dists_bookworm_InRelease"),
    left("apt-caches", "var/cache/apt/archives/docker-ce_29_amd64.deb"),
    left("temporary", "tmp/AliyunAssistScript-1/a.sh"),
    left("temporary", "var/tmp/.hidden"),
    left("temporary", "var/backups/dpkg.status.0"),
    left("spool", "var/mail/root"),
    left("spool", "var/spool/cron/crontabs/root"),
    left("swap", "swapfile"),
    added("swap", "etc/fstab", "/swapfile none swap sw 0 0"),
    added("mounts", "etc/fstab", "/dev/vdb1 /data ext4 defaults 0 2", sealed=False),
    Dirt("containers", "a container", container),
    Dirt("containers", "a volume of the appliance", volume),
    left("containers", "var/lib/docker/volumes/other/_data/a", sealed=False),
    left("secrets", "opt/heliochrome/secrets/password", "a-password\n"),
    # What nobody should have added.
    mode("setuid", "usr/bin/rootshell", 0o4755),
    mode("setuid", "opt/tool", 0o2755),
    mode("world-writable", "etc/cron.d/job", 0o646),
    mode("world-writable", "opt/heliochrome/models", 0o777),
    left("sudo", "etc/sudoers.d/keeper", "keeper ALL=(ALL) NOPASSWD: ALL\n", sealed=False),
)  # fmt: skip
