"""Memory that runs out in the host: a smaller size and a notice, or one clear error."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from graphs import NAMES, workflow
from results import provenance_in, saved
from running_host import Graph, RunningHost

import micro
from heliochrome.core.export import export_onnx
from hungry import make_hungry

pytestmark = pytest.mark.comfyui

PHOTO_AT_384 = 384 * 256  # the photograph is 301 x 200


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    checkpoint = micro.save(tmp_path_factory.mktemp("hungry") / "hungry.safetensors")
    model = checkpoint.with_suffix(".onnx")
    export_onnx(checkpoint, model, hashlib.sha256(checkpoint.read_bytes()).hexdigest())
    return model.read_bytes()


@pytest.fixture(params=[PHOTO_AT_384, 1], ids=["fits-at-384", "never-fits"])
def hungry(host: RunningHost, export: bytes, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A network that takes a petabyte above so many pixels."""
    model = host.base / "models" / "ddcolor" / f"hungry_{request.param}.onnx"
    model.write_bytes(export)
    yield make_hungry(model, request.param)
    model.unlink()


def graph_for(host: RunningHost, photo: Path, model: Path) -> Graph:
    load = {"model": model.name, "backend": "onnxruntime"}
    return workflow(
        NAMES[0], host.upload(photo), HeliochromeLoadDDColor=load, HeliochromeColorize={"size": 512}
    )


def test_a_full_memory_steps_down_or_is_told(host: RunningHost, photo: Path, hungry: Path) -> None:
    run = host.run(graph_for(host, photo, hungry))
    if str(PHOTO_AT_384) in hungry.name:
        (path,) = saved(host, run, "5")
        (notice,) = run.of("heliochrome.notice")
        assert notice["code"] == "size-reduced-ran-out"
        assert notice["values"] == {"asked": 512, "used": 384, "failed": 448}
        assert provenance_in(path).notices == (notice["text"],)
        assert provenance_in(path).parameters["network_extent"].startswith("384x")
    else:
        assert run.failure is not None
        assert "even at its smallest size" in run.failure and run.failure.count("\n") <= 1
    assert host.json("/system_stats"), "the host is gone"
