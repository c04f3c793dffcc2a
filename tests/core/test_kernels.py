"""The compiled arithmetic: true to the float64 formulas, and at home on any machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import heliochrome
from heliochrome.core import lab
from heliochrome.core.chroma import ChromaUpsampler
from heliochrome.core.extent import Extent

PACKAGE = Path(heliochrome.__file__).parent
LEVEL = 1 / 65535
# sRGB primaries and D65 in XYZ (IEC 61966-2-1), rows divided by white
TO_WHITE = np.array(
    [
        [0.4123907993, 0.3575843394, 0.1804807884],
        [0.2126390059, 0.7151686788, 0.0721923154],
        [0.0193308187, 0.1191947798, 0.9505321522],
    ]
)
TO_WHITE /= TO_WHITE.sum(axis=1, keepdims=True)


def decoded(code: np.ndarray) -> np.ndarray:
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def encoded(linear: np.ndarray) -> np.ndarray:
    return np.where(
        linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055
    )


def textbook_lab(srgb: np.ndarray) -> np.ndarray:
    xyz = decoded(srgb) @ TO_WHITE.T
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), ((29 / 3) ** 3 * xyz + 16) / 116)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), axis=-1)


def test_the_transfer_curve_is_exact_far_below_a_16_bit_level() -> None:
    x = np.linspace(0, 1, 1_000_003)
    x32 = x.astype(np.float32)
    assert np.abs(lab.linear_to_srgb(x32) - encoded(x32.astype(np.float64))).max() < LEVEL / 20
    assert np.abs(lab.srgb_to_linear(x32) - decoded(x32.astype(np.float64))).max() < LEVEL / 20


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("coloured", [False, True])
def test_lightness_is_the_formula(dtype: Any, coloured: bool) -> None:
    pixels = np.random.default_rng(1).random((70_000, 3 if coloured else 1))
    pixels = lab.quantize(np.repeat(pixels, 1 if coloured else 3, axis=1).astype(np.float32), dtype)
    truth = textbook_lab(pixels.astype(np.float64) / lab.full_scale(dtype))[:, 0]
    assert np.abs(lab.lightness(pixels) - truth).max() < 5e-5  # a 16-bit level is 1.4e-3


def test_colour_is_the_formula() -> None:
    srgb = np.random.default_rng(2).random((70_000, 3)) * 0.98 + 0.01
    truth = textbook_lab(srgb).astype(np.float32)
    found = lab.lab_to_srgb(truth[:, 0], truth[:, 1:])
    assert np.abs(found - srgb).max() < LEVEL / 2


def test_every_pixel_has_its_own_bits_wherever_it_lies() -> None:
    """Neither the neighbours nor the place in a vector or a tile may change a pixel."""
    rng = np.random.default_rng(3)
    light = rng.uniform(0, 100, 1000).astype(np.float32)
    ab = rng.uniform(-120, 120, (1000, 2)).astype(np.float32)
    whole = lab.lab_to_srgb(light, ab)
    for shift in (1, 7, 255, 256, 999):
        assert np.array_equal(lab.lab_to_srgb(light[shift:], ab[shift:]), whole[shift:])
    pixels = rng.integers(0, 65536, (1000, 3), np.uint16)
    pixels[300:600] = pixels[300:600, :1]  # tiles that are all grey go another way
    light = lab.lightness(pixels)
    alone = [lab.lightness(pixel[None])[0] for pixel in pixels]
    assert np.array_equal(light, np.array(alone))


def keys(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    return np.where(
        x <= 1,
        1.5 * x**3 - 2.5 * x**2 + 1,
        np.where(x < 2, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2, 0),
    )


def cubic(size_in: int, size_out: int, shift: int) -> np.ndarray:
    """(size_out, size_in), as a sum over every input in float64."""
    at = (np.arange(size_out) + 0.5) * size_in / size_out - 0.5 + shift
    matrix = np.zeros((size_out, size_in))
    for i in range(-6, size_in + 6):
        matrix[:, min(max(i, 0), size_in - 1)] += keys(at - i)
    return matrix


@pytest.mark.parametrize("full", [Extent(397, 301), Extent(700, 20), Extent(30, 500)])
@pytest.mark.parametrize("sigma", [None, 4.0, 20.0])
def test_upsampling_is_the_formula(full: Extent, sigma: float | None) -> None:
    rng = np.random.default_rng(4)
    small = rng.uniform(0, 100, (24, 32)).astype(np.float32)
    ab = rng.normal(0, 40, (24, 32, 2)).astype(np.float32)
    light = rng.uniform(0, 100, (full.height, full.width)).astype(np.float32)
    planes = np.dstack((small, ab)).astype(np.float64)

    def sample(dy: int, dx: int) -> np.ndarray:
        down, across = cubic(24, full.height, dy), cubic(32, full.width, dx)
        return np.einsum("yi,ijc,xj->yxc", down, planes, across, optimize=True)

    if sigma is None:
        truth = sample(0, 0)[..., 1:]
    else:
        total, weights = 0.0, 0.0
        for dy, dx in ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)):
            tap = sample(dy, dx)
            weight = np.exp(-0.5 * ((light - tap[..., 0]) / sigma) ** 2)
            weight = weight * 0.1353 if dy or dx else weight + 1e-3
            total, weights = total + weight[..., None] * tap[..., 1:], weights + weight
        truth = total / weights[..., None]
    guide = "bicubic" if sigma is None else "joint-bilateral"
    found = ChromaUpsampler(small, ab, full, guide, sigma or 1.0).rows(0, full.height, light)
    assert np.abs(found - truth).max() < 2e-2  # of chroma up to 200


# Imports the pack by path, as ComfyUI does: the module's name is its folder.
PROGRAM = """
import importlib.util, logging, sys
folder = sys.argv[1]
spec = importlib.util.spec_from_file_location(
    sys.argv[2] or folder.replace(".", "_x_"),
    folder + "/__init__.py",
    submodule_search_locations=[folder],
)
pack = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = pack
spec.loader.exec_module(pack)
assert "numba" not in sys.modules
import numpy as np
lab = importlib.import_module(spec.name + ".core.lab")
print("L* 50 is", round(float(lab.grey(np.array([50], np.float32))[0]) * 255, 2))
"""
SAID = "L* 50 is 118.9"


def run(package: Path, name: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """A bare process: no HOME and no variables but these."""
    environment = {"PYTHONDONTWRITEBYTECODE": "1", "NUMBA_DEBUG_CACHE": "1", **environment}
    if "SYSTEMROOT" in os.environ:
        environment["SYSTEMROOT"] = os.environ["SYSTEMROOT"]
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(package), name],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def package(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", "web", "locales")
    copy = tmp_path / "custom.nodes" / "heliochrome"
    shutil.copytree(PACKAGE, copy, ignore=ignored, symlinks=True)
    return copy


def test_no_folder_for_the_machine_code_is_no_hindrance(package: Path) -> None:
    # A file where the folder would be stops even root, which permissions do not.
    (package / "core/__pycache__").write_text("in the way")
    nowhere = str(package / "core/__pycache__" / "cache")
    ran = run(package, HOME=nowhere, XDG_CACHE_HOME=nowhere, NUMBA_CACHE_DIR=nowhere)
    assert ran.returncode == 0, ran.stderr
    assert SAID in ran.stdout and "[cache]" not in ran.stdout


def test_a_second_process_does_not_compile_again(package: Path) -> None:
    first, second = run(package), run(package)
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert "data saved" in first.stdout and "data loaded" not in first.stdout
    assert "data loaded" in second.stdout and "data saved" not in second.stdout
    assert SAID in first.stdout and SAID in second.stdout


def test_the_command_line_and_a_host_keep_machine_code_apart(package: Path) -> None:
    by_path, by_name = run(package), run(package, name="heliochrome")
    assert by_path.returncode == by_name.returncode == 0, by_path.stderr + by_name.stderr
    assert SAID in by_path.stdout and SAID in by_name.stdout
    assert "data loaded" not in by_name.stdout


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
@pytest.mark.parametrize("content", [b"", b"not what it was"])
def test_damaged_machine_code_is_made_again(
    package: Path, tmp_path: Path, kind: str, content: bytes
) -> None:
    cache = tmp_path / "cache"
    assert run(package, NUMBA_CACHE_DIR=str(cache)).returncode == 0
    files = list(cache.rglob(f"*.{kind}"))
    assert files
    for file in files:
        file.write_bytes(content)
    ran = run(package, NUMBA_CACHE_DIR=str(cache))
    assert ran.returncode == 0, ran.stderr
    assert SAID in ran.stdout
