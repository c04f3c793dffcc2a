"""Runtimes that run the network. Each imports its library only when it is opened."""

from .base import AUTO, BACKENDS, DEVICES, Backend, install_command, open_backend, usable_backends

__all__ = [
    "AUTO",
    "BACKENDS",
    "DEVICES",
    "Backend",
    "install_command",
    "open_backend",
    "usable_backends",
]
