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
    """plant: makes it in a root. sealed: whether `seal` takes it away. also: other points."""

    point: str
    said: str
    plant: Callable[[Path], Any]
    sealed: bool = True
    also: tuple[str, ...] = ()

    @property
    def points(self) -> set[str]:
        return {self.point, *self.also}

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


def session(root: Path) -> None:
    """As the cloud assistant makes its user, but for the sudoers file, which somebody removed."""
    user = "ecs-assist-user"
    for path, line in (
        ("etc/passwd", f"{user}:x:1003:1003::/home/{user}:/bin/bash"),
        ("etc/shadow", f"{user}:!:20000::::::"),
        ("etc/group", f"{user}:x:1003:"),
        ("etc/gshadow", f"{user}:!::"),
    ):
        text = (root / path).read_text().replace("keeper\n", f"keeper,{user}\n")
        (root / path).write_text(f"{text}{line}\n")
    write(root, f"home/{user}/.profile")


def matched(root: Path) -> None:
    write(root, "etc/ssh/more/a.conf", "PasswordAuthentication yes\n")
    path = root / "etc/ssh/sshd_config"
    path.write_text(f"{path.read_text()}Match all\n  Include more/*.conf\n")


def other_image(root: Path) -> None:
    path = root / "var/lib/docker/image/overlay2/repositories.json"
    found = json.loads(path.read_text())
    found["Repositories"]["seller/private"] = {"seller/private:1": "sha256:1"}
    path.write_text(json.dumps(found))


def snapd(root: Path) -> None:
    write(root, "var/lib/snapd/device/private-keys-v1/abc", "a key")
    device = {"brand": "generic", "serial": "0b7f", "key-id": "abc", "session-macaroon": "x"}
    state = {"data": {"auth": {"last-id": 1, "device": device}}, "changes": {}}
    write(root, "var/lib/snapd/state.json", json.dumps(state))


UNITS = "etc/systemd/system"
SUDOERS = "etc/sudoers"
STORE = "var/lib/docker/image/overlay2"
DEEP = "[" * 200000


def long_key(root: Path) -> None:
    (root / "etc/apt/keyrings/docker.asc").write_bytes(b"\xc6\xff\x00\x02\x00\x00" + bytes(0x20000))


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
    added("packages", "var/lib/dpkg/status", "\nPackage: q\nStatus: install ok installed",
          sealed=False),
    package_gone("toolkit", "nvidia-container-toolkit"),
    left("toolkit", "etc/docker/daemon.json", "{}", sealed=False),
    left("toolkit", "etc/docker/daemon.json", '{"runtimes": null}', sealed=False),
    left("toolkit", "etc/docker/daemon.json", DEEP, sealed=False),
    without("driver", "usr/lib/x86_64-linux-gnu/libnvidia-ml.so.580.95.05"),
    left("driver", "usr/lib/x86_64-linux-gnu/libnvidia-ml.so.570.86.10", sealed=False),
    left("driver", "usr/lib/libnvidia-ml.so.\u00b2\u00b2\u00b2.1", sealed=False),
    without("driver-module", f"usr/lib/modules/{KERNEL}/updates/dkms/nvidia.ko.xz"),
    left("driver-module", "boot/vmlinuz-6.1.0-41-cloud-amd64", sealed=False),
    changed("repositories", "etc/apt/sources.list.d/docker.list", "https:", "http:"),
    Dirt("repositories", "a key that is too long", long_key, sealed=False),
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
    added("settings", "opt/heliochrome/.env", "HELIOCHROME_TLS_NAMES=192.0.2.1"),
    added("settings", "opt/heliochrome/.env", "HELIOCHROME_UP_WAIT_S=600"),
    added("settings", "opt/heliochrome/.env", "COMPOSE_FILE=/root/other.yaml", sealed=False),
    added("settings", "opt/heliochrome/.env", "HELIOCHROME_GPU=1", sealed=False),
    changed("image", "opt/heliochrome/.env", "heliochrome:gpu", "heliochrome:other"),
    without("image", "var/lib/docker/overlay2/layer1"),
    recorded("image", "image_id", "sha256:0"),
    left("image", f"{STORE}/repositories.json", '{"Repositories": []}', sealed=False),
    without("units", f"{UNITS}/multi-user.target.wants/heliochrome.service"),
    without("units", f"{UNITS}/docker.service.requires/heliochrome-metadata.service"),
    link("units", f"{UNITS}/docker.service", "/dev/null", sealed=False),
    left("sshd", "etc/ssh/sshd_config.d/05-first.conf", "PasswordAuthentication yes\n",
         sealed=False),
    added("sshd", "etc/ssh/sshd_config", "Match User keeper\n  PasswordAuthentication yes",
          sealed=False),
    left("sshd", "etc/ssh/sshd_config.d/60-keys.conf", "AuthorizedKeysFile /etc/keys/%u\n",
         sealed=False),
    left("sshd", "etc/ssh/sshd_config.d/60-ca.conf", "TrustedUserCAKeys /etc/ssh/ca.pub\n",
         sealed=False),
    Dirt("sshd", "Include in a Match block", matched, sealed=False),
    left("sshd", "etc/default/ssh", 'SSHD_OPTS="-o PasswordAuthentication=yes"\n', sealed=False),
    package_gone("upgrades", "unattended-upgrades"),
    left("upgrades", "etc/apt/apt.conf.d/99clear", "#clear Unattended-Upgrade;\n",
         sealed=False),
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
    added("only-root", "etc/passwd", "toor:x:abc:1::/:/usr/sbin/nologin", sealed=False),
    added("only-root", "etc/passwd", "toor:x:00:0::/root:/bin/bash", sealed=False),
    added("only-root", "etc/passwd", "toor:x:0:0::/root:/bin/bash", sealed=False),
    left("authorized-keys", "root/.ssh/authorized_keys", "ssh-ed25519 AAAA seller\n"),
    left("authorized-keys", "home/keeper/.ssh/authorized_keys2", "ssh-ed25519 AAAA seller\n"),
    left("authorized-keys", "home/stranger/.ssh/authorized_keys", "ssh-ed25519 AAAA seller\n"),
    left("host-keys", "etc/ssh/ssh_host_ed25519_key", KEY),
    left("host-keys", "etc/ssh/ssh_host_ed25519_key.pub"),
    left("private-keys", "root/.ssh/id_ed25519", KEY),
    left("private-keys", "root/deploy.pem", KEY, sealed=False),
    left("private-keys", "root/deploy", "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n",
         sealed=False),
    left("private-keys", "root/deploy.ppk", "PuTTY-User-Key-File-3: ssh-ed25519\n", sealed=False),
    left("private-keys", "etc/ssl/private/own.key", KEY, sealed=False),
    left("private-keys", "etc/docker/client.pem", KEY, sealed=False),
    left("private-keys", "usr/local/src/deploy.pem", KEY, sealed=False),
    left("private-keys", "etc/wireguard/wg0.conf", "[Interface]\nPrivateKey = x\n", sealed=False),
    Dirt("private-keys", "srv/deploy.pem", lambda root: write(root, "srv/deploy.pem", KEY), False,
         also=("elsewhere",)),
    left("credentials", "home/keeper/.docker/config.json", '{"auths": {}}'),
    left("credentials", "root/.aliyun/config.json"),
    left("credentials", "root/.aws/credentials"),
    left("credentials", "etc/apt/auth.conf", "machine a login b password c\n"),
    changed("credentials", "etc/apt/sources.list.d/docker.list", "//docker.", "//me:b@docker."),
    left("credentials", "etc/apt/apt.conf.d/99proxy", 'Acquire::http::Proxy "http://me:b@h:3128";\n',
         sealed=False),
    left("credentials", "etc/environment", "http_proxy=http://me:b@10.0.0.1\n", sealed=False),
    Dirt("credentials", "a proxy of Docker", lambda root: write(
        root, f"{UNITS}/docker.service.d/p.conf", "[Service]\nEnvironment=HTTP_PROXY=http://me:b@h\n"),
         False, also=("additions",)),
    left("history", "root/.bash_history"),
    left("history", "root/.ssh/rc", "true\n"),
    left("history", "root/.ssh/id_ed25519.pub", "ssh-ed25519 AAAA seller\n"),
    left("history", "home/keeper/.lesshst"),
    left("history", "home/keeper/.cache/pip/a"),
    left("history", "root/.ssh/known_hosts"),
    left("leftovers", "root/heliochrome.tar", sealed=False),
    left("leftovers", "root/notes.txt", "the PRIVATE KEY is in the safe\n", sealed=False),
    left("leftovers", "root/auto_install/auto_install.log"),
    left("elsewhere", "opt/backup/studio.tar", sealed=False),
    left("elsewhere", "opt/heliochrome/support-20260101T000000Z/a.log", sealed=False),
    left("elsewhere", "opt/heliochrome/backup/studio.tar", sealed=False),
    left("elsewhere", "opt/heliochrome/models/photo.jpg", sealed=False),
    left("elsewhere", "opt/containerd/a", sealed=False),
    left("elsewhere", "srv/studio.tar", sealed=False),
    left("elsewhere", "mnt/studio.tar", sealed=False),
    left("elsewhere", "media/usb/photo.jpg", sealed=False),
    left("elsewhere", "data/photo.jpg", sealed=False),
    left("leftovers", "home/keeper/notes/a.txt", sealed=False),
    left("identity", "etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
    left("identity", "var/lib/dbus/machine-id", "0123456789abcdef0123456789abcdef\n"),
    left("identity", "var/lib/docker/engine-id", "0b7f"),
    without("identity", "etc/machine-id"),
    left("identity", "etc/iscsi/initiatorname.iscsi", "InitiatorName=iqn.1993-08.org:01:b\n"),
    left("identity", "var/lib/ubuntu-advantage/private/machine-token.json", "{}"),
    Dirt("identity", "of snapd", snapd),
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
    added("mounts", "etc/fstab", "UUID=0000-2222 /data ext4 defaults 0 2", sealed=False),
    added("mounts", "etc/fstab", "LABEL=heliochrome /var/lib/docker/volumes ext4 "
          "nofail,x-systemd.required-by=docker.service 0 2"),
    added("mounts", "etc/fstab", "tmpfs /x tmpfs x-systemd.required-by=ssh.service 0 0",
          sealed=False),
    Dirt("containers", "a container", container, also=("store",)),
    Dirt("store", "another image", other_image, sealed=False),
    left("store", f"{STORE}/imagedb/content/sha256/{'c' * 64}", "{}", sealed=False),
    left("store", f"{STORE}/layerdb/sha256/{'c' * 64}/cache-id", "other", sealed=False),
    left("store", "var/lib/docker/overlay2/other/diff/secret", sealed=False),
    left("store", "var/lib/docker/rootfs/a", sealed=False),
    left("store", "var/lib/docker/swarm/certificates/swarm-node.key", KEY),
    left("store", "var/lib/docker/buildkit/content/blobs/sha256/a"),
    left("store", "var/lib/containerd/io.containerd.content.v1.content/blobs/sha256/a"),
    Dirt("sessions-user", "without its sudoers file", session),
    left("sessions-user", "etc/sudoers.d/ecs-assist-user", "%x ALL=(ALL) NOPASSWD:ALL\n"),
    Dirt("containers", "a volume of the appliance", volume),
    left("containers", "var/lib/docker/volumes/other/_data/a", sealed=False),
    left("secrets", "opt/heliochrome/secrets/password", "a-password\n"),
    # What nobody should have added.
    mode("setuid", "usr/bin/rootshell", 0o4755),
    mode("setuid", "usr/local/tool", 0o2755),
    mode("world-writable", "etc/default/job", 0o646),
    mode("world-writable", "opt/heliochrome/models", 0o777),
    added("sudo", SUDOERS, "keeper ALL=(ALL) NOPASSWD: ALL", sealed=False),
    added("sudo", SUDOERS, "keeper ALL=(ALL) NO\\\nPASSWD: ALL", sealed=False),
    added("sudo", SUDOERS, "#1000 ALL=(ALL) NOPASSWD: ALL", sealed=False),
    added("sudo", SUDOERS, "Defaults !authenticate", sealed=False),
    added("sudo", SUDOERS, "# note \\\nDefaults:keeper ! authenticate", sealed=False),
    added("sudo", SUDOERS, "@includedir /etc/more", sealed=False),
    left("additions", f"{UNITS}/heliochrome.service.d/x.conf", "[Service]\nExecCondition=\n",
         sealed=False),
    left("additions", f"{UNITS}/docker.service.d/x.conf", "[Service]\n", sealed=False),
    left("additions", f"{UNITS}/own.service", "[Service]\n", sealed=False),
    left("additions", "usr/lib/systemd/system/own.timer", "[Timer]\n", sealed=False),
    link("additions", f"{UNITS}/multi-user.target.wants/own.service", "/usr/bin/cloud-init",
         sealed=False),
    left("additions", "etc/cron.d/own", "* * * * * root true\n", sealed=False),
    left("additions", "etc/sudoers.d/own", "keeper ALL=(ALL) ALL\n", sealed=False),
    left("additions", "etc/rc.local", "#!/bin/sh\n", sealed=False),
    left("additions", "etc/ld.so.preload", "/usr/lib/own.so\n", sealed=False),
)  # fmt: skip
