"""Files that nobody should have added: in places of people's own, and of what runs by itself."""

from __future__ import annotations

import stat
from fnmatch import fnmatchcase
from typing import Final

from .appliance import FILES, KERNELS_HELD
from .image import Image
from .shipped import listed

TOP: Final = {
    "bin", "bin.usr-is-merged", "boot", "dev", "etc", "home", "initrd.img", "initrd.img.old", "lib",
    "lib.usr-is-merged", "lib32", "lib64", "libx32", "lost+found", "media", "mnt", "opt", "proc",
    "root", "run", "sbin", "sbin.usr-is-merged", "snap", "srv", "swap.img", "swapfile", "sys",
    "tmp", "usr", "var", "vmlinuz", "vmlinuz.old",
}  # fmt: skip
# Which the package containerd.io lays, with empty folders.
CONTAINERD: Final = "opt/containerd"
# In /opt/heliochrome beside the files that are laid. `secrets` is a point of its own.
APPLIANCE: Final = {".env", "models", "prepared.json", "secrets"}
MODELS: Final = (".safetensors", ".pth", ".pt", ".onnx")
# Where systemd, cron, sudo, shells and the loader look by themselves.
STARTED: Final = (
    "etc/cron.d", "etc/cron.daily", "etc/cron.hourly", "etc/cron.monthly", "etc/cron.weekly",
    "etc/init.d", "etc/profile.d", "etc/sudoers.d", "etc/systemd/system",
    "etc/systemd/system-generators", "etc/systemd/system-shutdown", "etc/systemd/system-sleep",
    "etc/systemd/user", "etc/update-motd.d", "usr/lib/systemd/system",
    "usr/lib/systemd/system-generators", "usr/local/lib/systemd",
)  # fmt: skip
ALONE: Final = ("etc/rc.local", "etc/ld.so.preload", "etc/crontab", "etc/anacrontab")
# What the cloud's programs, NVIDIA's driver, cloud-init and snapd lay without dpkg.
KNOWN: Final = listed("known-additions")


def elsewhere(image: Image) -> list[str]:
    wrong = [path.lstrip("/") for path in image.names("") if path.lstrip("/") not in TOP]
    wrong += [path for path in image.names("opt") if path not in {"opt/heliochrome", CONTAINERD}]
    own = {path.rpartition("/")[2] for path in FILES if path.startswith("opt/heliochrome/")}
    folder = "opt/heliochrome"
    wrong += [
        path
        for path in image.names(folder)
        if path.removeprefix(f"{folder}/") not in own | APPLIANCE
    ]
    models = image.files(f"{folder}/models")
    wrong += [path for path in models if not path.endswith(MODELS)]
    return wrong + image.files(CONTAINERD, "srv", "mnt", "media")


def additions(image: Image) -> list[str]:
    """A link counts as what it leads to: `systemctl enable` makes them, no package has them."""
    found = [path for path in ALONE if image.has(path)] + image.files(*STARTED)
    return [path for path in found if not _is_known(image, path)]


def _is_known(image: Image, path: str) -> bool:
    if path in image.packaged or path in FILES or path == KERNELS_HELD:
        return True
    if any(fnmatchcase(path, pattern) for pattern in KNOWN):
        return True
    entry = image.entry(path)
    if entry is None or not stat.S_ISLNK(entry.lstat().st_mode):
        return False
    if image.link(path) == "/dev/null":
        return True
    place = image.at(path)
    if place is None:
        return True  # nothing is behind it
    behind = place.relative_to(image.root).as_posix()
    return behind != path and _is_known(image, behind)
