"""What runs by itself, and whom the system lets in: as packages, the cloud or we laid it."""

from __future__ import annotations

import stat
from fnmatch import fnmatchcase
from typing import Final

from .appliance import FILES, KERNELS_HELD
from .image import Image
from .pam import WRITTEN, written_otherwise
from .shipped import listed

# Where systemd, cron, udev, the network's programs, PAM, sudo and shells look by themselves.
STARTED: Final = (
    "etc/NetworkManager/dispatcher.d", "etc/cron.d", "etc/cron.daily", "etc/cron.hourly",
    "etc/cron.monthly", "etc/cron.weekly", "etc/cron.yearly", "etc/dhcp/dhclient-enter-hooks.d",
    "etc/dhcp/dhclient-exit-hooks.d", "etc/init.d", "etc/network/if-down.d",
    "etc/network/if-post-down.d", "etc/network/if-pre-up.d", "etc/network/if-up.d",
    "etc/networkd-dispatcher", "etc/pam.d", "etc/profile.d", "etc/sudoers.d", "etc/systemd/system",
    "etc/systemd/system-generators", "etc/systemd/system-shutdown", "etc/systemd/system-sleep",
    "etc/systemd/user", "etc/udev/rules.d", "etc/update-motd.d", "usr/lib/systemd/system",
    "usr/lib/systemd/system-generators", "usr/lib/udev/rules.d", "usr/local/lib/systemd",
)  # fmt: skip
ALONE: Final = ("etc/anacrontab", "etc/crontab", "etc/ld.so.preload", "etc/rc.local")
# What the cloud's programs, NVIDIA's driver, cloud-init, snapd and Debian's images for clouds lay
# without dpkg.
KNOWN: Final = (*listed("known-additions"), WRITTEN)


def additions(image: Image) -> list[str]:
    """A link counts as what it leads to: `systemctl enable` makes them, no package has them."""
    found = [path for path in ALONE if image.has(path)] + image.files(*STARTED)
    changed = [f"{path}: changed since its package brought it" for path in found
               if path not in FILES and image.changed(path)]  # fmt: skip
    added = [path for path in found if not _is_known(image, path)]
    return added + changed + written_otherwise(image)


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
