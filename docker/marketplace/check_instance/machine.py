"""What only the machine that made the image may have: its identity, its disks, its own traces."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Final

from .image import Image

MAC: Final = re.compile(r"(?i)(?<![0-9a-f:])(?:[0-9a-f]{2}:){5}[0-9a-f]{2}(?![0-9a-f:])")


def identity(image: Image) -> list[str]:
    if image.root != Path("/") and image.at("etc/machine-id") is None:
        return ["no etc/machine-id: the next boot would turn units on and off"]
    dbus = "var/lib/dbus/machine-id"
    held = [dbus] if image.has(dbus) and not image.link(dbus) else []
    held += ["etc/machine-id"] if image.data("etc/machine-id").strip() else []
    others = (
        "var/lib/docker/engine-id",
        "etc/docker/key.json",
        "var/lib/NetworkManager/secret_key",
    )
    return held + [path for path in others if image.has(path)]


def seeds(image: Image) -> list[str]:
    paths = (
        "var/lib/systemd/random-seed", "var/lib/systemd/credential.secret",
        "var/lib/urandom/random-seed", "boot/efi/loader/random-seed",
    )  # fmt: skip
    return [path for path in paths if image.has(path)]


def logs(image: Image) -> list[str]:
    return [
        path
        for path, known in image.below("var/log")
        if not stat.S_ISDIR(known.st_mode) and known.st_size
    ]


def leases(image: Image) -> list[str]:
    kept = image.files("var/lib/dhcp", "var/lib/dhcpcd")
    return kept + image.names("var/lib/NetworkManager", "*.lease")


def network(image: Image) -> list[str]:
    folders = (
        "etc/netplan", "etc/network", "etc/systemd/network", "etc/udev/rules.d",
        "etc/NetworkManager/system-connections",
    )  # fmt: skip
    return [path for path in image.files(*folders) if MAC.search(image.text(path))]


def names(image: Image) -> list[str]:
    wrong = [f"the host name {line}" for line in image.lines("etc/hostname") if line != "localhost"]
    for line in image.lines("etc/hosts"):
        if not re.match(r"127\.0\.0\.1\s+localhost$|::1\s|ff0[0-9]::|fe00::", line):
            wrong.append(f"etc/hosts: {line}")
    resolver = "etc/resolv.conf"
    if not image.link(resolver):
        fits = re.compile(r"nameserver (127\.0\.0\.53|100\.100\.2\.13[68])$|options ")
        wrong += [f"{resolver}: {line}" for line in image.lines(resolver) if not fits.match(line)]
    return wrong


def temporary(image: Image) -> list[str]:
    kept = image.files("tmp", "var/tmp", "var/crash", "var/lib/systemd/coredump")
    return kept + [path for path in image.names("var/backups") if "shadow" not in path]


def spool(image: Image) -> list[str]:
    return image.files("var/mail", "var/spool/cron/crontabs", "var/spool/cron/atjobs")


def swap(image: Image) -> list[str]:
    entries = [line for line in image.lines("etc/fstab") if (line.split() + [""] * 3)[2] == "swap"]
    held = [name for name in ("swapfile", "swap.img") if image.has(name)]
    return [f"etc/fstab: {line}" for line in entries] + held


def mounts(image: Image) -> list[str]:
    return [
        line for line in image.lines("etc/fstab") if re.match(r"/dev/(?!disk/by-|mapper/)", line)
    ]
