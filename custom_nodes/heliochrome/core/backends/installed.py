"""Which runtimes are installed, and how to get one that is not."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any, Final

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
    """The module of a backend. Raises ImportError or OSError if its runtime is broken."""
    return import_module(f".{backend}", __package__)
