"""Which runtimes are installed, and how to get one that is not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any, Final

from ..disk import human_bytes
from ..errors import BackendUnavailable, OutOfMemory
from ..memory import free_bytes

# name -> the modules that must be there, in the order in which "auto" tries them
_NEEDS: Final = {
    "openvino": ("openvino",),
    "torch": ("torch",),
    "onnxruntime": ("onnxruntime",),
    "tensorrt": ("onnxruntime", "tensorrt_libs"),
}
_COMMANDS: Final = {
    "openvino": 'pip install "heliochrome[openvino]"',
    "torch": 'pip install "heliochrome[torch]"',
    "onnxruntime": "pip install onnxruntime",
    "tensorrt": 'pip install "heliochrome[gpu]" "tensorrt-cu13==10.16.*"',
}
# the distributions that may hold a runtime
_PACKAGES: Final = {
    "openvino": ("openvino",),
    "torch": ("torch",),
    "onnxruntime": ("onnxruntime-gpu", "onnxruntime"),
    "tensorrt": ("tensorrt-cu13-libs", "tensorrt-cu12-libs"),
}
BACKENDS: Final = tuple(_NEEDS)
_ROOM: Final = 500_000_000  # more than any of the runtimes takes when it is imported


def usable_backends() -> list[str]:
    """Backends whose runtime is installed; imports none of them."""
    return [
        name for name, modules in _NEEDS.items() if all(find_spec(module) for module in modules)
    ]


def install_command(backend: str) -> str:
    """The command that installs a backend's runtime."""
    return _COMMANDS[backend]


def runtime_version(backend: str) -> str:
    """Version of an installed backend's runtime; "unknown" if its package does not say."""
    for package in _PACKAGES[backend]:
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return "unknown"


def backend_module(backend: str) -> Any:
    """The module of a backend. Raises BackendUnavailable if its runtime is broken.

    Raises OutOfMemory where importing it could end the process: C++ libraries abort when they
    get no memory while they are loaded.
    """
    free = free_bytes("cpu")
    if (
        free is not None
        and free < _ROOM
        and not all(name in sys.modules for name in _NEEDS[backend])
    ):
        raise OutOfMemory(
            f"not enough memory to load {backend}: {human_bytes(free)} are free, and it needs "
            f"{human_bytes(_ROOM)}. Close other programs."
        )
    with _broken_is_said(backend):
        return import_module(f".{backend}", __package__)


def able_to(backend: str) -> dict[str, tuple[str, ...]]:
    """Precisions by device that an installed backend offers here; imports its runtime.

    Raises OutOfMemory, BackendUnavailable (the runtime is broken).
    """
    module = backend_module(backend)
    with _broken_is_said(backend):
        return {device: module.precisions(device) for device in module.devices()}


@contextmanager
def _broken_is_said(backend: str) -> Iterator[None]:
    """What a runtime raises that is half installed, or of another version than its parts."""
    try:
        yield
    except (ImportError, OSError, AttributeError, RuntimeError) as error:
        raise BackendUnavailable(
            f"the {backend} backend is broken ({error}): run `{install_command(backend)} "
            "--force-reinstall`, or choose auto."
        ) from error
