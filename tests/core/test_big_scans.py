"""Strips: the same bits as the whole, whatever their height, their threads, and the memory."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from heliochrome.core.errors import Cancelled, OutOfMemory
from heliochrome.core.extent import Extent
from heliochrome.core.lab import as_floats, full_scale, lab_to_srgb, lightness, quantize
from heliochrome.core.merge import paint, paint_reference
from heliochrome.core.presets import CHROMA_GUIDES, ChromaGuide
from heliochrome.core.preview import warm_tone
from heliochrome.core.shrink import lightness_at, reference_grey
from heliochrome.core.strips import StripPlan, over_strips

DTYPES = [np.uint8, np.uint16, np.float32]
PLANS = [StripPlan(rows, workers) for rows in (1, 7, 64, 10_000) for workers in (1, 2, 3)]
NETWORK = Extent(96, 64)


def photo(height: int, width: int, dtype: Any, coloured: bool = False) -> np.ndarray:
    rng = np.random.default_rng(height + width)
    y, x = np.mgrid[:height, :width] / max(height, width)
    grey = 0.5 + 0.45 * np.sin(9 * x + 4 * y) + rng.normal(0, 0.05, (height, width))
    tint = rng.normal(0, 0.1, (height, width, 3)) if coloured else np.zeros(3)
    return quantize(np.clip(grey[..., None] + tint, 0, 1).astype(np.float32), dtype)


def chroma(height: int = NETWORK.height, width: int = NETWORK.width) -> np.ndarray:
    """ab with much outside sRGB."""
    return np.random.default_rng(1).normal(0, 60, (height, width, 2)).astype(np.float32)


def painted(before: np.ndarray, guide: ChromaGuide, plan: StripPlan) -> np.ndarray:
    out = np.empty_like(before)
    light = lightness_at(before, NETWORK, plan=plan)
    paint(before, light, chroma(), out, guide=guide, edge_sigma=8.0, plan=plan)
    return out


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("guide", CHROMA_GUIDES)
def test_strips_and_threads_change_no_bit(dtype: Any, guide: ChromaGuide) -> None:
    before = photo(333, 517, dtype, coloured=True)
    whole = painted(before, guide, StripPlan(10_000, 1))
    for plan in PLANS:
        assert np.array_equal(painted(before, guide, plan), whole), plan
        place = before.copy()
        light = lightness_at(place, NETWORK, plan=plan)
        paint(place, light, chroma(), place, guide=guide, edge_sigma=8.0, plan=plan)
        assert np.array_equal(place, whole), plan


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (1, 700), (700, 1), (37, 53), (64, 96), (65, 300), (300, 95)]
)
def test_the_fused_way_is_the_step_by_step_way(dtype: Any, height: int, width: int) -> None:
    from heliochrome.core.chroma import ChromaUpsampler

    before = photo(height, width, dtype)
    light = lightness_at(before, NETWORK)
    for guide in CHROMA_GUIDES:
        out = np.empty_like(before)
        paint(before, light, chroma(), out, guide=guide, edge_sigma=8.0)
        upsampler = ChromaUpsampler(light, chroma(), Extent(width, height), guide, 8.0)
        full = lightness(before)
        steps = quantize(lab_to_srgb(full, upsampler.rows(0, height, full)), dtype)
        assert np.array_equal(out, steps), guide
        after = lightness(out)
        bound = {np.uint8: 0.3, np.uint16: 0.005, np.float32: 0.001}[dtype]
        assert np.abs(after - full).max() <= bound


def test_arrays_in_pieces_and_arrays_that_are_read_only() -> None:
    before = photo(120, 200, np.uint8)
    whole = painted(before, "joint-bilateral", StripPlan())
    light = lightness_at(before, NETWORK)
    mirrored = np.ascontiguousarray(before[:, ::-1])[:, ::-1]
    wide = np.zeros((120, 200, 4), np.uint8)
    frozen = before.copy()
    frozen.flags.writeable = False
    for given, out in ((mirrored, wide[..., :3]), (frozen, np.empty_like(before))):
        paint(given, light, chroma(), out, guide="joint-bilateral", edge_sigma=8.0)
        assert np.array_equal(out, whole)
    assert not wide[..., 3].any()


def area_matrix(size_in: int, size_out: int) -> np.ndarray:
    matrix = np.zeros((size_out, size_in))
    for i in range(size_out):
        left, right = i * size_in / size_out, (i + 1) * size_in / size_out
        for j in range(size_in):
            matrix[i, j] = max(0.0, min(right, j + 1) - max(left, j)) / (right - left)
    return matrix


def linear_matrix(size_in: int, size_out: int) -> np.ndarray:
    at = np.clip((np.arange(size_out) + 0.5) * size_in / size_out - 0.5, 0, size_in - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(size_in)))


@pytest.mark.parametrize(
    ("height", "width"),
    [(1, 1), (2, 2), (64, 96), (65, 97), (300, 500), (20, 31), (5, 900), (900, 5)],
)
def test_small_lightness_is_the_average_or_the_line(height: int, width: int) -> None:
    before = photo(height, width, np.uint16, coloured=True)
    sides = ((height, NETWORK.height), (width, NETWORK.width))
    down, across = (area_matrix(*s) if s[0] >= s[1] else linear_matrix(*s) for s in sides)
    truth = down @ lightness(before).astype(np.float64) @ across.T
    found = lightness_at(before, NETWORK)
    assert found.shape == (NETWORK.height, NETWORK.width) and found.dtype == np.float32
    assert np.abs(found - truth).max() < 1e-4


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("height", "width"),
    [(1, 1), (300, 1), (64, 64), (128, 128), (129, 128), (256, 128), (333, 517), (65, 63)],
)
def test_the_original_pipeline_in_strips_is_opencv_on_the_whole(
    dtype: Any, height: int, width: int
) -> None:
    before, size = photo(height, width, dtype, coloured=True), 64
    ab = chroma(size, size)
    rgb = as_floats(before)
    small = cv2.cvtColor(cv2.resize(rgb, (size, size)), cv2.COLOR_RGB2Lab)
    small[..., 1:] = 0
    seen = cv2.cvtColor(small, cv2.COLOR_LAB2RGB)[..., 0]
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab)
    lab[..., 1:] = cv2.resize(ab, (width, height), interpolation=cv2.INTER_NEAREST)
    whole = quantize(np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1), dtype)
    for plan in PLANS:
        assert np.array_equal(reference_grey(before, Extent(size, size), plan=plan), seen), plan
        place = before.copy()
        paint_reference(place, ab, place, plan=plan)
        assert np.array_equal(place, whole), plan


@pytest.mark.parametrize("error", [MemoryError(), None], ids=["numpy", "opencv"])
def test_a_strip_without_memory_is_halved(error: MemoryError | None) -> None:
    done = np.zeros(100, int)

    def work(top: int, bottom: int) -> None:
        if bottom - top > 9:
            if error:
                raise error
            cv2.resize(np.zeros((2, 2), np.uint8), (2**31 - 1, 2**31 - 1))  # 4 EB
        done[top:bottom] += 1

    seen: list[int] = []
    extent = Extent(10, 100)
    over_strips(extent, work, progress=lambda d, t: seen.append(d), plan=StripPlan(60, 2))
    assert np.array_equal(done, np.ones(100))
    assert seen == sorted(seen) and seen[-1] == 100


def test_a_single_row_without_memory_is_one_clear_error() -> None:
    def work(top: int, bottom: int) -> None:
        raise MemoryError

    with pytest.raises(OutOfMemory, match="single row of the 10x100 photograph"):
        over_strips(Extent(10, 100), work, plan=StripPlan(60, 2))


@pytest.mark.parametrize("workers", [1, 3])
def test_cancel_and_errors_stop_the_strips(workers: int) -> None:
    begun: list[int] = []
    active = threading.Semaphore(0)

    def work(top: int, bottom: int) -> None:
        begun.append(top)
        active.release()

    def cancel() -> None:
        assert threading.current_thread() is threading.main_thread()
        if len(begun) >= 5:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        over_strips(Extent(1, 1000), work, cancel=cancel, plan=StripPlan(1, workers))
    assert 5 <= len(begun) < 5 + 2 * workers

    def fail(top: int, bottom: int) -> None:
        raise ValueError(f"row {top}")

    with pytest.raises(ValueError, match="row"):
        over_strips(Extent(1, 1000), fail, plan=StripPlan(1, workers))


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_preview_is_the_same_in_any_batch_and_memory_order(dtype: Any) -> None:
    batch = np.stack([photo(90, 130, dtype), photo(90, 130, dtype)[::-1]])
    toned = warm_tone(batch)
    assert not np.array_equal(toned, batch)
    assert np.array_equal(warm_tone(batch[1]), toned[1])
    assert np.array_equal(warm_tone(np.asfortranarray(batch)), toned)


# A file to a file without a network: what colouring needs beside the network's own memory.
SCAN = """
import sys
import numpy as np
from pathlib import Path
from heliochrome.core.extent import Extent
from heliochrome.core.merge import paint, paint_reference
from heliochrome.core.photo import read_photo, write_photo
from heliochrome.core.shrink import lightness_at, reference_grey
from heliochrome.core.provenance import Provenance
from datetime import datetime, timezone

source, target, mode = sys.argv[1:]
record = Provenance(kind="colorization", model="m", model_sha256="ab" * 32, parameters={},
                    notices=(), when=datetime(2026, 1, 1, tzinfo=timezone.utc))
photo = read_photo(source)
network = Extent(512, 512)
ab = np.random.default_rng(0).normal(0, 30, (512, 512, 2)).astype(np.float32)
if mode == "reference":
    reference_grey(photo.pixels, network)
    paint_reference(photo.pixels, ab, photo.pixels)
else:
    light = lightness_at(photo.pixels, network)
    paint(photo.pixels, light, ab, photo.pixels, guide="joint-bilateral", edge_sigma=8.0)
write_photo(target, photo.pixels, photo, record)
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


def scan(path: Path, height: int, width: int, dtype: Any) -> None:
    """A grey RGB scan as `path`'s suffix says, written by libvips."""
    import pyvips

    rows = np.linspace(0, full_scale(dtype), width).astype(dtype)
    image = np.broadcast_to(rows[None, :, None], (height, width, 3))
    kind = "ushort" if dtype == np.uint16 else "uchar"
    data = np.ascontiguousarray(image).data
    pyvips.Image.new_from_memory(data, width, height, 3, kind).write_to_file(str(path))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize(
    ("name", "dtype", "mode"),
    [
        ("scan.tif", np.uint16, "natural"),
        ("scan.jpg", np.uint8, "natural"),
        ("scan.tif", np.uint16, "reference"),
    ],
)
@pytest.mark.parametrize(
    ("height", "width", "limit_mb"),
    [
        (3000, 4000, 400),
        pytest.param(8660, 11547, 1536, marks=pytest.mark.large),
    ],
    ids=["12MP", "100MP"],
)
def test_a_scan_from_file_to_file_stays_within_its_memory(
    tmp_path: Path, name: str, dtype: Any, mode: str, height: int, width: int, limit_mb: int
) -> None:
    source, target = tmp_path / name, tmp_path / f"out{Path(name).suffix}"
    scan(source, height, width, dtype)
    command = [sys.executable, "-c", SCAN, str(source), str(target), mode]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert ran.returncode == 0, ran.stderr
    assert target.stat().st_size > 0
    peak_mb = int(ran.stdout.split()[-1]) / 1024
    assert peak_mb < limit_mb
    print(f"{name} {mode} {width}x{height}: {peak_mb:.0f} MiB")  # noqa: T201
