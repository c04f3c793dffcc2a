"""What stays in places that nobody looks at: `seal` takes none of it away."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from instance_plants import HASH, Dirt, added, changed, hidden, link
from instance_root import write

PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI seller\n"
CONFIG = "etc/cloud/cloud.cfg.d/99-own.cfg"
SOURCES = "etc/apt/sources.list.d/more.sources"
SUMS = "0123  studio.tar\n"


def user(line: str) -> str:
    return f"users:\n  - name: smith\n    {line}\n"


def capable(path: str, *bits: int) -> Dirt:
    """As setcap writes it: revision 2, in effect, the bits of what is permitted."""

    def plant(root: Path) -> None:
        value = (0x02000001, sum(1 << bit for bit in bits), 0, 0, 0)
        place = root / path if (root / path).exists() else write(root, path)
        try:
            data = b"".join(word.to_bytes(4, "little") for word in value)
            os.setxattr(place, "security.capability", data)
        except OSError as cause:
            pytest.skip(f"no capabilities of files here: {cause}")

    return Dirt("setuid", f"{path} with {bits}", plant, sealed=False)


def owned(path: str, uid: int, gid: int, bits: int) -> Dirt:
    def plant(root: Path) -> None:
        place = root / path if (root / path).exists() else write(root, path)
        try:
            os.chown(place, uid, gid)
        except OSError as cause:
            pytest.skip(f"no other users here: {cause}")
        place.chmod(bits)

    return Dirt("files", f"{path} of {uid}:{gid} {bits:o}", plant, sealed=False)


def profile(root: Path) -> None:
    """A module of the seller's own, written down as if a package asked for it."""
    write(root, "usr/share/pam-configs/own", "Auth:\n\tsufficient pam_own.so\n")
    path = root / "etc/pam.d/common-auth"
    path.write_text("auth sufficient pam_own.so\n" + path.read_text())


HIDDEN = (
    # 1: what cloud-init is told, and keys within settings.
    hidden("cloud-settings", CONFIG, "users: [{name: a, ssh_authorized_keys: [*key]}]\n"),
    hidden("cloud-settings", CONFIG, user(f"ssh_authorized_keys:\n      - {PUBLIC}"),
           also=("authorized-keys",)),
    hidden("cloud-settings", CONFIG, user("ssh_import_id: [gh:smith]")),
    hidden("cloud-settings", CONFIG, "chpasswd:\n  list: |\n    root:a\n"),
    hidden("cloud-settings", CONFIG, "password: a\n"),
    hidden("cloud-settings", CONFIG, '{"users": [{"name": "a", "plain_text_passwd": "a"}]}\n'),
    hidden("cloud-settings", CONFIG, user(f"passwd: {HASH}\n    lock_passwd: false")),
    hidden("cloud-settings", CONFIG, user(f"hashed_passwd: {HASH}")),
    hidden("cloud-settings", CONFIG, user("sudo: ALL=(ALL) NOPASSWD:ALL")),
    hidden("cloud-settings", CONFIG, "system_info:\n  default_user:\n    name: a\n" + user("sudo: "
           "['ALL=(ALL) NOPASSWD:ALL']")),
    hidden("cloud-settings", CONFIG, "runcmd: [useradd smith]\n"),
    hidden("cloud-settings", CONFIG, "datasource:\n  None: {userdata_raw: '#cloud-config'}\n"),
    added("cloud-settings", "etc/cloud/cloud.cfg", f"  default_user: {{hashed_passwd: '{HASH}'}}",
          sealed=False),
    hidden("authorized-keys", "etc/keys/smith", f"from=\"10.0.0.0/8\" {PUBLIC}"),
    hidden("authorized-keys", "etc/default/job", "ecdsa-sha2-nistp256 AAAAE2VjZHNh\n"),
    # 2: secrets within settings.
    hidden("credentials", "root/.bashrc", "export ALIBABA_ACCESS_KEY_SECRET=abc\n"),
    hidden("credentials", "home/keeper/.profile", "HF_TOKEN='abc'\n"),
    hidden("credentials", "home/keeper/.bash_logout", "alias a='b --password=abc'\n"),
    hidden("credentials", "etc/environment", 'API_KEY="abc"\n'),
    hidden("credentials", "etc/default/job", f"PASSWORD={HASH}\n"),
    hidden("credentials", "etc/skel/.bashrc", "TOKEN=abc\n"),
    Dirt("credentials", "etc/profile.d/own.sh", lambda root: write(
        root, "etc/profile.d/own.sh", "export DB_PASSWORD=abc\n"), False, also=("additions",)),
    # 3: what starts something or lets somebody in.
    added("additions", "etc/crontab", "* * * * * root /usr/bin/own", sealed=False),
    changed("additions", "usr/lib/systemd/system/cron.service", "/usr/sbin/cron", "/usr/bin/own"),
    link("additions", "usr/lib/systemd/system/cron.service", "/usr/bin/cloud-init", sealed=False),
    added("additions", "etc/network/if-up.d/wait", "own", sealed=False),
    hidden("additions", "etc/network/if-up.d/own", "#!/bin/sh\n"),
    hidden("additions", "etc/network/if-post-down.d/own", "#!/bin/sh\n"),
    hidden("additions", "etc/udev/rules.d/90-own.rules", 'RUN+="/usr/bin/own"\n'),
    added("additions", "usr/lib/udev/rules.d/50-default.rules", 'RUN+="/usr/bin/own"',
          sealed=False),
    hidden("additions", "etc/profile.d/own.sh", "own\n"),
    hidden("additions", "etc/pam.d/own", "auth sufficient pam_permit.so\n"),
    changed("additions", "etc/pam.d/su", "pam_rootok", "pam_permit"),
    changed("additions", "etc/pam.d/common-auth", "auth\trequisite\tpam_deny.so\n", ""),
    changed("additions", "etc/pam.d/common-auth", "# written", "auth sufficient pam_permit.so"),
    changed("additions", "etc/pam.d/common-auth", "# written", "auth [default=1] pam_permit.so"),
    changed("additions", "etc/pam.d/common-auth", "default=ignore", "default=1"),
    changed("additions", "etc/pam.d/common-session", "\tpam_unix", "\tpam_exec"),
    Dirt("additions", "a profile of PAM", profile, sealed=False),
    # 4: rights of files.
    capable("usr/bin/own", 7),
    capable("usr/bin/python3", 7, 6),
    capable("usr/bin/ping", 13, 21),
    # 5: packages that nobody signed.
    *(
        changed("repositories", "etc/apt/sources.list.d/docker.list", "[arch=amd64", f"[{said}")
        for said in ("trusted=true", "trusted=1 arch=amd64", "arch=amd64 allow-insecure=yes")
    ),
    *(
        hidden("repositories", "etc/apt/sources.list.d/more.list", f"deb [{said}] https://a.b c\n")
        for said in ("trusted=true", "trusted=1", "trusted = on", "arch=amd64 TRUSTED=with",
                     "trusted=enable", "allow-insecure=yes", "allow-weak=yes",
                     "allow-downgrade-to-insecure=yes")
    ),
    hidden("repositories", SOURCES, "Types: deb\nTrusted: true\n"),
    hidden("repositories", SOURCES, "Types: deb\nTrusted:\n  enable\n"),
    hidden("repositories", SOURCES, "Allow-Insecure: yes\n"),
    hidden("repositories", "etc/apt/apt.conf.d/99own", 'APT::Get::AllowUnauthenticated "1";\n'),
    hidden("repositories", "etc/apt/apt.conf.d/99own",
           "Acquire { AllowInsecureRepositories true; };\n"),
    # 6: who may write to what is started as root.
    owned("opt", 1000, 0, 0o755),
    owned("opt/heliochrome", 1000, 0, 0o755),
    owned("opt/heliochrome", 0, 1000, 0o775),
    owned("opt/heliochrome/.env", 1000, 0, 0o644),
    owned("opt/heliochrome/models/ddcolor_v2.bin", 1000, 1000, 0o644),
    # 7: an address of one network.
    hidden("network", "etc/network/interfaces", "iface eth0 inet static\n  address 10.0.0.5/24\n"),
    hidden("network", "etc/network/interfaces.d/eth0", "iface eth0 inet static\n"
           "  address 2001:db8::5\n"),
    hidden("network", "etc/netplan/01-own.yaml", "addresses: [172.16.0.9/20]\n"),
    hidden("network", "etc/netplan/01-own.yaml", "nameservers: {addresses: [192.168.0.1]}\n"),
    hidden("network", "etc/systemd/network/10-own.network", "[Network]\nGateway=10.0.0.1\n"),
    # 8: photographs, wherever they were backed up to.
    hidden("backups", "var/lib/kept/studio.tar"),
    hidden("backups", "usr/local/share/kept.part/gateway.tar"),
    hidden("backups", "usr/lib/kept/comfyui.tar"),
    hidden("backups", "var/lib/support-20260101T000000Z.tar.gz"),
    hidden("backups", "usr/local/share/support-us.tar.gz"),
    hidden("backups", "var/cache/support-20260101T000000Z/studio.log"),
    hidden("elsewhere", "var/kept/photo.jpg"),
    hidden("elsewhere", "var/opt/photo.jpg"),
    hidden("elsewhere", "usr/local/kept/photo.jpg"),
)  # fmt: skip
