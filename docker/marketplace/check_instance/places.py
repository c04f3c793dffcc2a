"""Files that nobody should have added: in places of people's own, and backups wherever they are."""

from __future__ import annotations

import re
from typing import Final

from .appliance import FILES
from .image import Image

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
# As core/weights_file.py, which this program, being one of its own, cannot import.
MODELS: Final = (".safetensors", ".pth", ".pt", ".bin", ".onnx")
# Beside what packages have there.
VAR: Final = {
    "backups", "cache", "crash", "lib", "local", "lock", "log", "lost+found", "mail", "opt", "run",
    "snap", "spool", "tmp",
}  # fmt: skip
LOCAL: Final = {
    "aegis", "bin", "cloudmonitor", "etc", "games", "include", "lib", "lib64", "libexec", "man",
    "sbin", "share", "src",
}  # fmt: skip
CUDA: Final = re.compile(r"usr/local/cuda(-[0-9.]+)?")
# What `appliance backup` writes, also where it was broken off, and `appliance support-bundle` where
# it is given no name, wherever they were told to.
KEPT: Final = ("gateway.tar", "studio.tar", "comfyui.tar")
BUNDLE: Final = re.compile(r"support-(?:\d{8}T\d{6}Z|.*\.tar\.gz)")


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
    for place, others in (("var", VAR), ("usr/local", LOCAL)):
        known = {*(f"{place}/{name}" for name in others), *image.packaged}
        wrong += [
            path for path in image.names(place) if path not in known and not CUDA.fullmatch(path)
        ]
    return wrong + image.files(CONTAINERD, "srv", "mnt", "media", "var/local", "var/opt")


def backups(image: Image) -> list[str]:
    return [
        path
        for path, _ in image.everything
        if (name := path.rpartition("/")[2]) in KEPT or BUNDLE.fullmatch(name)
        if path not in image.packaged
    ]
