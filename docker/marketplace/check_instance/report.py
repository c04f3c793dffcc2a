"""Proves on a mounted file system that the machine image may be sold.

Reads only, and follows no link out of the folder. One line a point: `ok` or `FAIL`, its name, what
is expected, what was found. Exit code: 0 all are met, 1 not all, 2 no root file system, or not
allowed to read it.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import timedelta
from pathlib import Path

from .image import Image
from .points import asked


def is_root(image: Image) -> bool:
    """Whether a system that dpkg knows lies in it."""
    needed = ("etc/passwd", "usr/lib/os-release", "var/lib/dpkg/status")
    return all(image.data(path) for path in needed)


def _refused(image: Image, named: Path) -> str:
    """Why nothing is proved; empty where all can be read."""
    if os.geteuid() != 0:
        return (
            f"Expected root, who alone reads every file. Came: the user {os.geteuid()}. "
            "Say it with sudo."
        )
    try:
        found = is_root(image)
    except OSError as cause:
        return (
            f"Expected a folder that can be read. Came: {named} ({ascii(str(cause))[1:-1]}). "
            "Mount the disk so that root may read all of it."
        )
    if found:
        return ""
    return (
        f"Expected a root file system of Debian or Ubuntu. Came: {named}, without etc/passwd, "
        "usr/lib/os-release or var/lib/dpkg/status. Name the folder that the system's disk is "
        "mounted on."
    )


def main(arguments: list[str] | None = None) -> int:
    """Writes the lines and returns the exit code."""
    parser = argparse.ArgumentParser(
        "check_instance", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("root", type=Path, help="folder that the image's disk is mounted on")
    parser.add_argument(
        "--cpu", action="store_true", help="the image is for instances without card"
    )
    parser.add_argument("--max-age-days", type=int, default=30, metavar="N")
    given = parser.parse_args(arguments)
    image = Image(Path(given.root).resolve(), not given.cpu, timedelta(days=given.max_age_days))
    refused = _refused(image, given.root)
    if refused:
        sys.stderr.write(f"check_instance: {refused}\n")
        return 2
    failed = 0
    points = asked(image)
    for point in points:
        try:
            wrong = point.find(image)
        # Whatever it is, of a file that nobody foresaw: the point is not met, the cause is said,
        # and the points after it are asked all the same.
        except Exception as cause:  # noqa: BLE001
            failed += 1
            said = ascii(f"{type(cause).__name__}: {cause}")[1:-1]
            sys.stdout.write(f"FAIL {point.name}: cannot be read ({said})\n")
            continue
        if not wrong:
            sys.stdout.write(f"ok   {point.name}: {point.what}\n")
            continue
        failed += 1
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        found = ", ".join(ascii(text)[1:-1] for text in wrong[:5])
        sys.stdout.write(f"FAIL {point.name}: expected {point.what}; found {found}{more}\n")
    for name in ("time", "docker", "toolkit", "driver", "image", "image_id"):
        sys.stdout.write(f"     {name}: {ascii(image.record.get(name) or 'none')[1:-1]}\n")
    sys.stdout.write(f"{len(points)} points, {failed} not met\n")
    return 1 if failed else 0
