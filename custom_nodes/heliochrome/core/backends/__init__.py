"""Runtimes that run the network. Each imports its library only when it is opened."""

from .base import AUTO, DEVICES, PRECISIONS, Backend
from .installed import BACKENDS, able_to, install_command, runtime_version, usable_backends
from .opening import Opened, open_backend, open_chosen

__all__ = [
    "AUTO",
    "BACKENDS",
    "DEVICES",
    "PRECISIONS",
    "Backend",
    "Opened",
    "able_to",
    "install_command",
    "open_backend",
    "open_chosen",
    "runtime_version",
    "usable_backends",
]
