"""The graphics card: its driver, and what gives it to containers."""

from __future__ import annotations

import re
from typing import Final

from .image import Image, inner, json_object

# As in prepare-instance and docker/image/entrypoint.sh.
LEAST_DRIVER: Final = 580


def toolkit(image: Image) -> list[str]:
    found = inner(json_object(image.text("etc/docker/daemon.json")), "runtimes")
    unset = [] if "nvidia" in found else ["no runtime nvidia in etc/docker/daemon.json"]
    return image.without("nvidia-container-toolkit") + unset


def driver(image: Image) -> list[str]:
    places = ("usr/lib/x86_64-linux-gnu", "usr/lib64", "usr/lib")
    found = {
        name.partition(".so.")[2]
        for place in places
        for name in image.names(place, "libnvidia-ml.so.*.*")
    }
    old = [
        text
        for text in sorted(found)
        if not re.match("[0-9]{3}", text) or int(text[:3]) < LEAST_DRIVER
    ]
    return old if found else ["none: no libnvidia-ml.so"]


def driver_module(image: Image) -> list[str]:
    kernels = [path.partition("vmlinuz-")[2] for path in image.names("boot", "vmlinuz-*")]
    without = [
        f"no nvidia.ko for {kernel}"
        for kernel in kernels
        if not any(
            re.search(r"/nvidia\.ko(\.\w+)?$", path)
            for path in image.files(f"usr/lib/modules/{kernel}")
        )
    ]
    return without if kernels else ["no kernel in boot"]
