"""Real hosts from COMFYUI_DIR: folders of ComfyUI work trees, separated as in PATH.

Each is run with its own .venv/bin/python, else HELIOCHROME_COMFYUI_PYTHON, else this Python.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from running_host import RunningHost

import micro
import tiny_diffusion

_FOLDERS = [Path(name) for name in os.environ.get("COMFYUI_DIR", "").split(os.pathsep) if name]
_WITHOUT = pytest.param(
    None, marks=pytest.mark.skip(reason="COMFYUI_DIR names no ComfyUI folder"), id="no-host"
)


@pytest.fixture(
    scope="session",
    params=[pytest.param(folder.resolve(), id=folder.name) for folder in _FOLDERS] or [_WITHOUT],
)
def host(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningHost]:
    """A running ComfyUI with our pack, a micro DDColor as ddcolor_v2 and a tiny pipeline."""
    base = tmp_path_factory.mktemp("comfyui")
    micro.save(base / "models" / "ddcolor" / "ddcolor_v2.safetensors")
    tiny_diffusion.build(base / "models" / "openvino_diffusion" / "tiny")
    (base / "custom_nodes").mkdir()
    shutil.copy(Path(__file__).with_name("odd_value_node.py"), base / "custom_nodes")
    with RunningHost(request.param, base) as running:
        yield running


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grey photograph, 301 x 200, no side a multiple of 32."""
    rows, columns = np.mgrid[0:200, 0:301]
    light = 128 + 60 * np.sin(columns / 23) * np.cos(rows / 17) + 40 * (rows > 120)
    path = tmp_path_factory.mktemp("photo") / "grandmother.png"
    Image.fromarray(light.clip(0, 255).astype(np.uint8)).save(path)
    return path
