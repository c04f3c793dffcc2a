"""The image for a card, where there is none: it is built whole, and colours on the processor.

Gigabytes of CUDA are fetched for it, so it is marked large.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from container_engine import Engine
from image_building import build, contexts, licences, mounted

import micro

pytestmark = [pytest.mark.container, pytest.mark.large]

IMAGE = "localhost/heliochrome:test-gpu"


@pytest.fixture(scope="module")
def gpu(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("gpu")
    (folder / "none").mkdir()
    build(engine, folder, "gpu", "--tag", IMAGE, *contexts(folder / "none"))
    return IMAGE


@pytest.fixture(scope="module")
def root(engine: Engine, gpu: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with mounted(engine, gpu, tmp_path_factory.mktemp("root")) as place:
        yield place


def test_without_a_card_it_says_so_and_colours_on_the_processor(
    engine: Engine, gpu: str, tmp_path: Path
) -> None:
    micro.save(tmp_path / "ddcolor_v2.safetensors").chmod(0o644)
    tmp_path.chmod(0o755)
    done = engine.call(
        "run", "--rm", "--read-only", "--cap-drop", "ALL", "--network", "none",
        "--security-opt", "no-new-privileges", "--tmpfs", "/data:rw,mode=1777,size=512m",
        "--volume", f"{tmp_path}:/models:ro", gpu, "heliochrome", "self-test",
    )  # fmt: skip
    assert "No graphics card reaches this container" in done.stderr
    assert "Colouring on the processor instead" in done.stderr
    assert done.stdout.count(": good. ") == 2


def test_it_holds_what_a_card_needs(engine: Engine, gpu: str, root: Path) -> None:
    size = int(engine.call("image", "inspect", "--format", "{{.Size}}", gpu).stdout)
    engine.note("image for a card, MB", size / 1e6)
    packages = root / "opt/heliochrome/lib/python3.11/site-packages"
    for name in ("torch/lib/libtorch_cuda.so", "nvidia/cudnn", "triton",
                 "onnxruntime/capi/libonnxruntime_providers_cuda.so"):  # fmt: skip
        assert (packages / name).exists(), name


def test_it_may_be_sold_as_far_as_its_licences_can_be_read(root: Path) -> None:
    assert "## Under NVIDIA's terms" in licences(root)


def test_wheels_of_tensorrt_that_are_brought_are_put_beside_the_others(
    engine: Engine, gpu: str, tmp_path: Path
) -> None:
    """Of its three packages the one that PyPI has as a wheel."""
    wheels = tmp_path / "tensorrt"
    engine.run(
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:",
        "--dest", wheels, "tensorrt-cu13-bindings==10.16.*",
    )  # fmt: skip
    tag = "localhost/heliochrome:test-tensorrt"
    context = f"tensorrt={wheels}"
    build(engine, tmp_path, "packages-gpu", "--tag", tag, "--build-context", context)
    (tmp_path / "root").mkdir()
    with mounted(engine, tag, tmp_path / "root") as place:
        packages = place / "opt/heliochrome/lib/python3.11/site-packages"
        assert (packages / "tensorrt_bindings/tensorrt.so").exists()
        assert (packages / "torch/lib/libtorch_cuda.so").exists()
