"""Open models: kept while their files stay the same, read again when not, never many."""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from graphs import NAMES, drop_in, workflow
from results import pixels_in, provenance_in, saved
from running_host import RunningHost
from safetensors.torch import load_file, save_file

import micro
from heliochrome.core.export import OUTPUT_NAME, export_onnx

pytestmark = pytest.mark.comfyui

LAST_LAYER = "decoder.color_decoder.color_embed.layers.2."
CHANGED = 5  # mean difference, in 8-bit levels, of pictures by two models


def models(host: RunningHost) -> Path:
    return host.base / "models" / "ddcolor"


def replace_by_another_model(path: Path) -> None:
    """The same network with its colour queries turned round: a file of the same size."""
    state = load_file(path)
    for name in ("weight", "bias"):
        state[LAST_LAYER + name] = -state[LAST_LAYER + name]
    beside = path.with_suffix(".part")
    save_file(state, beside)
    assert beside.stat().st_size == path.stat().st_size
    beside.replace(path)


def difference(one: Path, other: Path) -> float:
    return float(np.abs(pixels_in(one).astype(int) - pixels_in(other)).mean())


@pytest.mark.parametrize("way", ["drop-in", "loader"])
def test_a_replaced_model_file_is_read_again(host: RunningHost, photo: Path, way: str) -> None:
    own = micro.save(models(host) / f"replaced_{way}.safetensors")
    name = host.upload(photo)
    load = {"model": own.name}
    graph, node = (
        (drop_in(name, model=own.name, size=256), "3")
        if way == "drop-in"
        else (workflow(NAMES[0], name, HeliochromeLoadDDColor=load), "5")
    )
    try:
        (before,) = saved(host, host.run(graph), node)
        replace_by_another_model(own)
        (after,) = saved(host, host.run(graph), node)
        digest = hashlib.sha256(own.read_bytes()).hexdigest()
    finally:
        own.unlink()
    assert difference(before, after) > CHANGED
    assert provenance_in(after).model_sha256 == digest != provenance_in(before).model_sha256


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with its ONNX file beside it."""
    checkpoint = micro.save(tmp_path_factory.mktemp("exported") / "exported.safetensors")
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    export_onnx(checkpoint, checkpoint.with_suffix(".onnx"), digest)
    return checkpoint


def negate_output(path: Path) -> None:
    """Make an exported network give the opposite colours; what it was exported from stays."""
    network = onnx.load(path)
    network.graph.node[-1].output[0] = "opposite"
    network.graph.node.append(onnx.helper.make_node("Neg", ["opposite"], [OUTPUT_NAME]))
    beside = path.with_suffix(".part")
    onnx.save(network, beside)
    beside.replace(path)


def test_a_replaced_onnx_file_is_read_again(host: RunningHost, photo: Path, exported: Path) -> None:
    """ONNX Runtime runs the file beside the checkpoint, which is the one the graph names."""
    copies = [exported, exported.with_suffix(".onnx")]
    own, network = (Path(shutil.copy(file, models(host))) for file in copies)
    load = {"model": own.name, "backend": "onnxruntime"}
    graph = workflow(NAMES[0], host.upload(photo), HeliochromeLoadDDColor=load)
    try:
        (before,) = saved(host, host.run(graph), "5")
        negate_output(network)
        (after,) = saved(host, host.run(graph), "5")
    finally:
        own.unlink()
        network.unlink()
    assert provenance_in(after).parameters["backend"] == "onnxruntime"
    assert difference(before, after) > CHANGED


@pytest.fixture
def three(host: RunningHost) -> Iterator[list[str]]:
    paths = [micro.save(models(host) / f"kept_{letter}.safetensors") for letter in "abc"]
    yield [path.name for path in paths]
    for path in paths:
        path.unlink()


def opened_and_closed(host: RunningHost, start: int) -> list[str]:
    """What the log says from `start` on."""
    log = host.log.read_bytes()[start:].decode()
    return re.findall(r"model ((?:opened|closed): kept_\S+)", log)


def test_the_least_recently_used_model_is_closed(
    host: RunningHost, photo: Path, three: list[str]
) -> None:
    """Two stay open. Each run has a size of its own, so that the host runs it at all."""
    name = host.upload(photo)
    a, b, c = three
    told: list[list[str]] = []
    for step, model in enumerate((a, b, a, c, a, b)):
        start = host.log.stat().st_size
        run = host.run(drop_in(name, model=model, size=256 + 32 * step))
        saved(host, run, "3")
        told.append(opened_and_closed(host, start))
    assert told == [
        [f"opened: {a}"],
        [f"opened: {b}"],
        [],
        [f"closed: {b}", f"opened: {c}"],
        [],
        [f"closed: {c}", f"opened: {b}"],
    ]


def test_the_host_can_have_the_memory_back(
    host: RunningHost, photo: Path, three: list[str]
) -> None:
    """ "Unload models" closes ours as it does the host's own; the next run opens what it needs."""
    name = host.upload(photo)
    a, b, _ = three
    for model in (a, b):
        saved(host, host.run(drop_in(name, model=model, size=480)), "3")
    start = host.log.stat().st_size
    host.post("/free", {"unload_models": True})
    deadline = time.monotonic() + 20
    while len(opened_and_closed(host, start)) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert sorted(opened_and_closed(host, start)) == [f"closed: {a}", f"closed: {b}"]
    start = host.log.stat().st_size
    for size in (512, 544):
        saved(host, host.run(drop_in(name, model=b, size=size)), "3")
    assert opened_and_closed(host, start) == [f"opened: {b}"]
    log = host.log.read_bytes()[start:].decode()
    assert "memory leak" not in log and "Traceback" not in log
