"""The original DDColor network as spandrel_extra_arches ships it.

The package imports torchvision, which does not import beside CPU torch, so only its
network modules are loaded, under a name of their own.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from torch import nn

_NAME = "spandrel_ddcolor_network"


def _installed(package: str) -> Path:
    for folder in map(Path, sys.path):
        if (folder / package / "__init__.py").is_file():
            return folder / package
    pytest.skip(f"{package} is not installed: `make test` installs it with --no-deps")


def _module(name: str, path: Path) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__path__ = [str(path)]
    sys.modules[name] = module
    return module


def peer_network(encoder: str) -> nn.Module:
    """Random weights, eval mode, the official configuration."""
    if _NAME not in sys.modules:
        _module("spandrel", _installed("spandrel"))
        # spandrel.util itself is fine, but its decorator inspects the whole package
        util = _module("spandrel.util", _installed("spandrel") / "util")
        util.store_hyperparameters = lambda **_: lambda cls: cls  # type: ignore[attr-defined]
        arch = _installed("spandrel_extra_arches") / "architectures/DDColor/__arch"
        _module(_NAME, arch)
    network: Any = importlib.import_module(f"{_NAME}.ddcolor").DDColor
    options = {"num_output_channels": 2, "last_norm": "Spectral", "num_queries": 100}
    net: nn.Module = network(encoder_name=encoder, **options)
    return net.eval()
