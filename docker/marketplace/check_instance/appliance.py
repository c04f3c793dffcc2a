"""Our own files, units and settings, and the record of how the image was made."""

from __future__ import annotations

import re
import stat
from datetime import datetime, timedelta, timezone
from typing import Final

from .image import Image
from .shipped import MARKETPLACE

# Where it is in the image -> mode, and the file that it is made from, beside this package.
FILES: Final = {
    "opt/heliochrome/appliance": (0o755, "../appliance"),
    "opt/heliochrome/compose.yaml": (0o644, "../compose.yaml"),
    "opt/heliochrome/compose.gpu.yaml": (0o644, "../compose.gpu.yaml"),
    "opt/heliochrome/seccomp.json": (0o644, "../seccomp.json"),
    "opt/heliochrome/close-metadata": (0o755, "close-metadata"),
    "etc/ssh/sshd_config.d/10-heliochrome.conf": (0o644, "sshd.conf"),
    "etc/apt/apt.conf.d/20auto-upgrades": (0o644, "auto-upgrades.conf"),
    "etc/motd.d/heliochrome": (0o644, "motd"),
    "etc/systemd/system/heliochrome.service": (0o644, "heliochrome.service"),
    "etc/systemd/system/heliochrome-metadata.service": (0o644, "heliochrome-metadata.service"),
    "etc/systemd/system/heliochrome-host-keys.service": (0o644, "heliochrome-host-keys.service"),
}
# Only where there is a card.
KERNELS_HELD: Final = "etc/apt/apt.conf.d/51heliochrome-kernels"
# What `sudo appliance` runs, and what it must lead to.
COMMAND: Final = "usr/local/sbin/appliance"
HANDLE: Final = "/opt/heliochrome/appliance"
TURNED_ON: Final = (
    "multi-user.target.wants/heliochrome.service",
    "docker.service.requires/heliochrome-metadata.service",
    "multi-user.target.wants/heliochrome-host-keys.service",
)
RECORD: Final = ("time", "system", "docker", "compose", "toolkit", "driver", "image", "image_id",
                 "updates_waiting")  # fmt: skip


def files(image: Image) -> list[str]:
    wrong: list[str] = []
    with_card = {KERNELS_HELD: (0o644, "kernels-held.conf")} if image.card else {}
    for path, (mode, source) in {**FILES, **with_card}.items():
        found = image.root / path
        if image.at(path) != found or not found.is_file():
            wrong.append(f"no file {path}")
            continue
        known = found.lstat()
        if (known.st_uid, known.st_gid, stat.S_IMODE(known.st_mode)) != (0, 0, mode):
            wrong.append(f"{path}: {known.st_uid}:{known.st_gid} {stat.S_IMODE(known.st_mode):o}")
        shipped = MARKETPLACE / source
        if shipped.is_file() and shipped.read_bytes() != found.read_bytes():
            wrong.append(f"{path}: not the file that is shipped")
    return wrong + _others(image)


def _others(image: Image) -> list[str]:
    """What another than root may write to; what everybody may is a point of its own."""
    folder = "opt/heliochrome"
    ways = [(path, place.lstat()) for path in ("opt", folder) if (place := image.entry(path))]
    return [
        f"{path}: {known.st_uid}:{known.st_gid} {stat.S_IMODE(known.st_mode):o}"
        for path, known in (*ways, *image.below(folder))
        if path not in FILES
        and (known.st_uid != 0 or (known.st_gid != 0 and known.st_mode & 0o020))
    ]


def command(image: Image) -> list[str]:
    if image.entry(COMMAND) != image.root / COMMAND:
        return [f"no {COMMAND}"]
    target = image.link(COMMAND)
    return [] if target == HANDLE else [f"{COMMAND}: {target or 'no link'}"]


def settings(image: Image) -> list[str]:
    """The lines that prepare-instance writes. Of others the name is said: there may be a secret."""
    lines = image.text("opt/heliochrome/.env").splitlines()
    wanted = ("HELIOCHROME_ADDRESS=0.0.0.0", f"HELIOCHROME_GPU={int(image.card)}")
    names = [line for line in lines if re.fullmatch(r"HELIOCHROME_IMAGE=[\w./:@-]+", line)]
    missing = [f"no line {line}" for line in wanted if lines.count(line) != 1]
    more = [line.partition("=")[0] for line in lines if line not in {*wanted, *names}]
    return (
        missing
        + [f"another line: {name}" for name in more]
        + ([] if len(names) == 1 else [f"{len(names)} lines HELIOCHROME_IMAGE"])
    )


def turned_on(image: Image) -> list[str]:
    wrong = [path for path in TURNED_ON if not image.link(f"etc/systemd/system/{path}")]
    off = [name for name in ("docker.service", "heliochrome.service") if image.masked(name)]
    return [f"{path} is missing" for path in wrong] + [f"{name} is masked" for name in off]


def record(image: Image) -> list[str]:
    if set(image.record) != set(RECORD):
        return [
            f"opt/heliochrome/prepared.json with {', '.join(sorted(image.record)) or 'nothing'}"
        ]
    try:
        then = datetime.fromisoformat(str(image.record["time"]).replace("Z", "+00:00"))
        age = datetime.now(timezone.utc) - then
    except (TypeError, ValueError):
        return [f"the time {image.record['time']}"]
    late = [f"prepared {age.days} days ago"] if not timedelta(-1) < age <= image.max_age else []
    waiting = image.record["updates_waiting"]
    return late + ([f"{waiting} updates waiting"] if waiting != 0 else [])


def secrets(image: Image) -> list[str]:
    return image.names("opt/heliochrome", "secrets")
