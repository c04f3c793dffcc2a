"""`heliochrome doctor`: what this machine can run, what is missing, and how to get it."""

from __future__ import annotations

import argparse
import json
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Final, Literal

from .output import say

MISSING: Final = 1

State = Literal["ok", "optional", "missing"]


@dataclass(frozen=True)
class Finding:
    """One line of the report. `advice` is the command that mends it."""

    topic: str
    state: State
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
    for folder in ModelStore.from_environ().folders:
        if folder.is_dir():
            free = human_bytes(shutil.disk_usage(folder).free)
            yield Finding("models folder", "ok", f"{folder}, {free} free")
        else:
            yield Finding("models folder", "optional", f"{folder} does not exist")


def _backends() -> Iterator[Finding]:
    from ..core.backends import BACKENDS, able_to, install_command, runtime_version, usable_backends
    from ..core.errors import HeliochromeError

    usable = usable_backends()
    for name in BACKENDS:
        if name in usable:
            try:
                able = "; ".join(
                    f"{device} in {', '.join(precisions)}"
                    for device, precisions in able_to(name).items()
                )
            except HeliochromeError as error:
                yield Finding(f"backend {name}", "optional", str(error))
                continue
            text = f"{runtime_version(name)}, runs on {able or 'nothing here'}"
            yield Finding(f"backend {name}", "ok" if able else "optional", text)
        else:
            state: State = "optional" if usable else "missing"
            yield Finding(f"backend {name}", state, "not installed", install_command(name))
    yield from _measured()
    yield from _memory()


def _measured() -> Iterator[Finding]:
    """What `auto` found on this machine, one line a network and wish."""
    from ..core.backends.probe_memory import measurements
    from ..core.store import ModelStore

    for wish, seconds in measurements(ModelStore.from_environ().cache).items():
        order = sorted(seconds, key=seconds.__getitem__)
        times = ", ".join(f"{name} {seconds[name]:.2f} s" for name in order)
        yield Finding("backend auto", "ok", f"{times} ({wish})")


def _memory() -> Iterator[Finding]:
    from ..core.backends.nvidia import gpu_name
    from ..core.disk import human_bytes
    from ..core.memory import free_bytes

    gpu = gpu_name()
    for device, name in (("cpu", "free memory"), ("cuda", f"GPU {gpu}")):
        if device == "cuda" and gpu is None:
            yield Finding("GPU", "optional", "no NVIDIA GPU; the processor is used")
            continue
        free = free_bytes(device)
        yield Finding(name, "ok", "not known" if free is None else f"{human_bytes(free)} free")


def _models() -> Iterator[Finding]:
    """The default model, or another that can stand in for it, must be here and runnable."""
    from ..core.backends import usable_backends
    from ..core.export import export_command
    from ..core.presets import DEFAULT_MODEL
    from ..core.store import ModelStore
    from ..core.weights_file import ONNX_SUFFIX

    findings = []
    for status in ModelStore.from_environ().status():
        topic, path = f"model {status.spec.id}", status.path
        if path is None:
            findings.append(Finding(topic, "optional", "not on this machine", status.advice or ""))
        elif status.state == "mismatch":
            findings.append(Finding(topic, "missing", status.advice or "not the right file"))
        elif "torch" not in usable_backends() and not path.with_suffix(ONNX_SUFFIX).is_file():
            needs = "needs PyTorch, or an export made on a machine that has it"
            findings.append(Finding(topic, "missing", f"{path}: {needs}", export_command(path)))
        else:
            findings.append(Finding(topic, "ok", str(path)))
    if not any(finding.state == "ok" for finding in findings):
        wanted = f"model {DEFAULT_MODEL}"
        findings = [
            Finding(f.topic, "missing", f.text, f.advice) if f.topic == wanted else f
            for f in findings
        ]
    yield from findings
