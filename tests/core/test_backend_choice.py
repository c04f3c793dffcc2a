"""`auto`: the fastest backend here by measurement, remembered; what is broken is passed over."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import onnx
import pytest

import micro
from heliochrome.core.backends import Opened, open_backend, open_chosen
from heliochrome.core.disk import hash_file
from heliochrome.core.errors import BackendUnavailable, BadSetting, BadWeights
from heliochrome.core.export import export_onnx
from heliochrome.core.onnx_metadata import NETWORK_KEY, SOURCE_KEY, read_metadata


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = micro.save(tmp_path_factory.mktemp("model") / "micro.safetensors")
    export_onnx(path, path.with_suffix(".onnx"), hash_file(path))
    return path


def test_auto_measures_and_says_what_it_found(checkpoint: Path) -> None:
    opened = open_chosen(checkpoint)
    assert opened.backend.device == "cpu" and opened.notices == ()
    assert opened.choice.startswith(f"{opened.backend.name} on cpu in f32: measured ")
    for name in {"openvino", "onnxruntime", "torch"} - {opened.backend.name}:
        assert f"{name} on cpu " in opened.choice


def test_an_export_alone_is_run_by_what_reads_it(checkpoint: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.onnx"
    alone.write_bytes(checkpoint.with_suffix(".onnx").read_bytes())
    assert open_chosen(alone).backend.name in ("openvino", "onnxruntime")
