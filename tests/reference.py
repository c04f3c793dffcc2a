"""Where the DDColor ground truth lies, and how to read it."""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "data/ddcolor_reference"


@cache
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gen_weights", FOLDER / "gen_weights.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def manifest(size: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"manifests/ddcolor_{size}.json").read_text())


@cache
def weights(size: str) -> dict[str, np.ndarray]:
    """The stand-in state dict. The generator makes scalars 1-d; the manifest has the true shape."""
    tensors = manifest(size)["tensors"]
    filled = generator().fill(tensors)
    return {key: value.reshape(tensors[key]["shape"]) for key, value in filled.items()}


def golden(name: str) -> Any:
    return np.load(FOLDER / f"goldens/{name}.npz")


def golden_info() -> dict[str, Any]:
    return json.loads((FOLDER / "goldens/goldens.json").read_text())
