"""What only the machine that made the image may have: its identity, its disks, its own traces."""

from __future__ import annotations

import ipaddress
import re
import stat
from pathlib import Path
from typing import Final

from .image import Image, inner, json_object
from .shipped import listed, pattern

IDENTITIES: Final = listed("identities")
SEEDS: Final = listed("seeds")
RESOLVER: Final = pattern("resolver-lines")
MAC: Final = re.compile(r"(?i)(?<![0-9a-f:])(?:[0-9a-f]{2}:){5}[0-9a-f]{2}(?![0-9a-f:])")


def identity(image: Image) -> list[str]:
    if image.root != Path("/") and image.at("etc/machine-id") is None:
        return ["no etc/machine-id: the next boot would turn units on and off"]
    dbus = "var/lib/dbus/machine-id"
    held = [dbus] if image.has(dbus) and not image.link(dbus) else []
    held += ["etc/machine-id"] if image.data("etc/machine-id").strip() else []
    held += [path for path in IDENTITIES if image.has(path)]
    held += image.names("var/lib/ubuntu-advantage/private")
    held += image.names("var/lib/snapd/device/private-keys-v1")
    snapd = "var/lib/snapd/state.json"
    device = inner(json_object(image.text(snapd)), "data", "auth", "device")
    held += [
        f"{snapd}: {name}" for name in ("serial", "key-id", "session-macaroon") if name in device
    ]
    iscsi = "etc/iscsi/initiatorname.iscsi"
    return held + [iscsi for line in image.lines(iscsi) if line.startswith("InitiatorName")]


def seeds(image: Image) -> list[str]:
    return [path for path in SEEDS if image.has(path)]


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
    """Of either kind, in whatever is left once cloud-init's own settings are gone."""
    connections = "etc/NetworkManager/system-connections"
    folders = ("etc/netplan", "etc/network", "etc/systemd/network", "etc/udev/rules.d", connections)
    found = [path for path in image.files(*folders) if MAC.search(image.text(path))]
    # Scripts in the other folders of etc/network have addresses of every machine.
    fixed = image.files(
        "etc/netplan", "etc/network/interfaces.d", "etc/systemd/network", connections
    )
    return found + [
        f"{path}: {address}"
        for path in ("etc/network/interfaces", *fixed)
        for line in image.lines(path)
        for address in _addresses(line)
    ]


def _addresses(line: str) -> list[str]:
    """Those that are of one network; not the machine's own, not the cloud's name servers."""
    found: list[str] = []
    for part in re.split(r"[\s,;=/\[\]{}()\"']+", line):
        try:
            known = ipaddress.ip_address(part)
        except ValueError:
            continue
        everywhere = (
            known.is_loopback or known.is_link_local or known.is_multicast or known.is_unspecified
        )
        if not everywhere and not RESOLVER.match(f"nameserver {part}"):
            found.append(part)
    return found


def names(image: Image) -> list[str]:
    wrong = [f"the host name {line}" for line in image.lines("etc/hostname") if line != "localhost"]
    for line in image.lines("etc/hosts"):
        if not re.match(r"127\.0\.0\.1\s+localhost$|::1\s|ff0[0-9]::|fe00::", line):
            wrong.append(f"etc/hosts: {line}")
    resolver = "etc/resolv.conf"
    if not image.link(resolver):
        lines = image.lines(resolver)
        wrong += [f"{resolver}: {line}" for line in lines if not RESOLVER.match(line)]
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
    """A buyer lacks any other disk, and what requires it would not start."""
    wrong: list[str] = []
    for line in image.lines("etc/fstab"):
        source, target, kind, options = (line.split() + [""] * 4)[:4]
        named = not re.match(r"/dev/(?!disk/by-|mapper/)", source)
        own = target in {"/", "/boot", "/boot/efi"} or kind in {"swap", "tmpfs", "proc", "sysfs"}
        if not (named and own) or "required-by" in options:
            wrong.append(line)
    return wrong
