"""`heliochrome doctor`: what this machine can run, what is missing, and how to get it."""

from __future__ import annotations

import argparse
import json
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Final, Literal

from .output import say

MISSING: Final = 1


@dataclass(frozen=True)
class Finding:
    """One line of the report. `advice` is the command that mends it."""

    topic: str
    state: Literal["ok", "optional", "missing"]
    text: str
    advice: str = ""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("doctor", help="say what this machine can run")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit code 0: photographs can be coloured; 1: something needed is missing."""
    findings = [*_machine(), *_backends(), *_models()]
    if args.json:
        say(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            say(f"[{finding.state:^8}] {finding.topic}: {finding.text}")
            if finding.advice:
                say(f"           -> {finding.advice}")
    return MISSING if any(finding.state == "missing" for finding in findings) else 0


def _machine() -> Iterator[Finding]:
    from ..core.disk import human_bytes
    from ..core.store import ModelStore
    from ..version import SOFTWARE

    yield Finding("version", "ok", f"{SOFTWARE}, Python {platform.python_version()}")
    folder = ModelStore.from_environ().download_folder()
    yield Finding("disk", "ok", f"{human_bytes(shutil.disk_usage(folder).free)} free in {folder}")


def _backends() -> Iterator[Finding]:
    from ..core.backends import BACKENDS, usable_backends

    usable = usable_backends()
    for name, package in BACKENDS.items():
        if name in usable:
            yield Finding(f"backend {name}", "ok", _version_of(package))
        else:
            needed: Literal["optional", "missing"] = "optional" if usable else "missing"
            yield Finding(f"backend {name}", needed, "not installed", f"pip install {package}")
    if "torch" not in usable:
        yield Finding("GPU", "optional", "not looked for without PyTorch")
        return
    import torch

    if torch.cuda.is_available():
        yield Finding("GPU", "ok", torch.cuda.get_device_name(0))
    else:
        yield Finding("GPU", "optional", "no usable NVIDIA GPU; the processor is used")


def _models() -> Iterator[Finding]:
    from ..core.presets import DEFAULT_MODEL
    from ..core.store import ModelStore

    statuses = ModelStore.from_environ().status()
    some = any(status.path for status in statuses)
    for status in statuses:
        if status.path is not None:
            yield Finding(f"model {status.spec.id}", "ok", f"{status.state}, {status.path}")
            continue
        needed = status.spec.id == DEFAULT_MODEL and not some
        yield Finding(
            f"model {status.spec.id}",
            "missing" if needed else "optional",
            "not on this machine",
            status.advice or "",
        )


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # onnxruntime-gpu installs the module onnxruntime
        return "installed"
