"""Where the DDColor ground truth lies, and how to read it."""

from __future__ import annotations

import importlib.util
import json
import os
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

FOLDER = Path(
    os.environ.get("HELIOCHROME_REFERENCE", Path(__file__).parents[2] / "shared/ddcolor_reference")
)


def require() -> None:
    if not FOLDER.is_dir():
        pytest.skip(f"DDColor reference data not found at {FOLDER}; set HELIOCHROME_REFERENCE")


@cache
def generator() -> ModuleType:
    require()
    spec = importlib.util.spec_from_file_location("gen_weights", FOLDER / "gen_weights.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def manifest(size: str) -> dict[str, Any]:
    require()
    return json.loads((FOLDER / f"manifests/ddcolor_{size}.json").read_text())


@cache
def weights(size: str) -> dict[str, np.ndarray]:
    """The stand-in state dict. The generator makes scalars 1-d; the manifest has the true shape."""
    tensors = manifest(size)["tensors"]
    filled = generator().fill(tensors)
    return {key: value.reshape(tensors[key]["shape"]) for key, value in filled.items()}


def golden(name: str) -> Any:
    require()
    return np.load(FOLDER / f"goldens/{name}.npz")


def golden_info() -> dict[str, Any]:
    require()
    return json.loads((FOLDER / "goldens/goldens.json").read_text())
