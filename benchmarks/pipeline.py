"""What surrounds the network: seconds and peak memory against OpenCV on the whole picture.

    python benchmarks/pipeline.py            # writes results/pipeline.{json,md}
    python benchmarks/pipeline.py --skip-scan

The peer is what a straightforward program does: float cvtColor to Lab, resize, merge, cvtColor
back, round. Both run in one process and take turns; the median counts. Peak memory is that of
one fresh process from file to file. The picture is made up, and the chroma too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

import machine
from heliochrome.core.extent import Extent
from heliochrome.core.lab import as_floats, grey, quantize
from heliochrome.core.merge import paint
from heliochrome.core.photo import read_photo, write_photo
from heliochrome.core.presets import PORTRAIT
from heliochrome.core.provenance import Provenance
from heliochrome.core.shrink import lightness_at

HERE = Path(__file__).parent
NETWORK = Extent(512, 384)
PICTURES: Final = {"12 MP": Extent(4000, 3000), "100 MP": Extent(11547, 8660)}
OURS, PEER = "Heliochrome", "OpenCV, whole picture"
RECORD = Provenance("colorization", "stand-in", "0" * 64, {}, (), datetime.now(timezone.utc))

Planes = tuple[np.ndarray, Any]  # what the network sees, and what the second half needs


def ours_before(photo: np.ndarray) -> Planes:
    light = lightness_at(photo, NETWORK)
    return grey(light), light


def ours_after(photo: np.ndarray, light: Any, ab: np.ndarray, out: np.ndarray) -> None:
    guide, sigma = PORTRAIT.chroma_guide, PORTRAIT.edge_sigma
    paint(photo, light, ab, out, guide=guide, edge_sigma=sigma)


def peer_before(photo: np.ndarray) -> Planes:
    light = cv2.cvtColor(as_floats(photo), cv2.COLOR_RGB2Lab)[..., 0]
    size = (NETWORK.width, NETWORK.height)
    small = cv2.resize(light, size, interpolation=cv2.INTER_AREA)
    neutral = cv2.merge([small, np.zeros_like(small), np.zeros_like(small)])
    return cv2.cvtColor(neutral, cv2.COLOR_LAB2RGB)[..., 0], light


def peer_after(photo: np.ndarray, light: Any, ab: np.ndarray, out: np.ndarray) -> None:
    full = cv2.resize(ab, (photo.shape[1], photo.shape[0]), interpolation=cv2.INTER_LINEAR)
    lab = cv2.merge([light, *cv2.split(full)])
    out[:] = quantize(np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1), photo.dtype)


RUNNERS: Final[dict[str, tuple[Callable[..., Planes], Callable[..., None]]]] = {
    PEER: (peer_before, peer_after),
    OURS: (ours_before, ours_after),
}


def picture(extent: Extent, dtype: Any, *, tinted: bool = False) -> np.ndarray:
    """A grey scan with soft parts, edges and grain; `tinted` like an old print."""
    rng = np.random.default_rng(0)
    size = (extent.width, extent.height)
    soft = cv2.resize(rng.random((30, 40), np.float32), size, interpolation=cv2.INTER_CUBIC)
    edges = cv2.resize(rng.random((90, 120), np.float32), size, interpolation=cv2.INTER_NEAREST)
    plane = 0.5 * soft + 0.3 * edges + 0.1 + rng.normal(0, 0.01, soft.shape).astype(np.float32)
    levels = quantize(np.clip(plane, 0, 1), dtype)
    rgb = np.repeat(levels[..., None], 3, axis=2)
    return quantize(as_floats(rgb) * np.float32([1, 0.95, 0.85]), dtype) if tinted else rgb


def chroma() -> np.ndarray:
    """ab of mean chroma 25, as a colourful prediction has."""
    ab = np.random.default_rng(1).normal(0, 20, (24, 32, 2)).astype(np.float32)
    return cv2.resize(ab, (NETWORK.width, NETWORK.height), interpolation=cv2.INTER_CUBIC)


def speed(rounds: int) -> list[dict[str, Any]]:
    rows = []
    kinds = (("8-bit grey", np.uint8, False), ("16-bit grey", np.uint16, False))
    for kind, dtype, tinted in (*kinds, ("8-bit tinted", np.uint8, True)):
        photo, ab = picture(PICTURES["12 MP"], dtype, tinted=tinted), chroma()
        out = np.empty_like(photo)
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in RUNNERS}
        for turn in range(rounds + 1):
            for name, (before, after) in RUNNERS.items():
                start = time.perf_counter()
                _, light = before(photo)
                middle = time.perf_counter()
                after(photo, light, ab, out)
                end = time.perf_counter()
                if turn:  # the first compiles, and fills caches
                    seconds[name].append((middle - start, end - middle))
        whole = {name: statistics.median(map(sum, times)) for name, times in seconds.items()}
        for name, times in seconds.items():
            pre, post = (statistics.median(column) for column in zip(*times, strict=True))
            rows.append(
                {
                    "picture": f"12 MP {kind}",
                    "runner": name,
                    "before_s": round(pre, 4),
                    "after_s": round(post, 4),
                    "both_s": round(whole[name], 4),
                    "of_opencv": round(whole[name] / whole[PEER], 3),
                }
            )
            print(rows[-1])
    return rows


def probe(name: str, source: Path, target: Path) -> None:
    """One photograph from file to file, without a network: peak memory of this process."""
    before, after = RUNNERS[name]
    start = time.perf_counter()
    photo = read_photo(source)
    _, light = before(photo.pixels)
    out = photo.pixels if name == OURS else np.empty_like(photo.pixels)
    after(photo.pixels, light, chroma(), out)
    write_photo(target, out, photo, RECORD, overwrite=True)
    seconds = round(time.perf_counter() - start, 2)
    print(json.dumps({"peak_mb": machine.peak_mb(), "seconds": seconds}))


def memory(sizes: list[str], folder: Path) -> list[dict[str, Any]]:
    rows = []
    for size in sizes:
        for suffix, dtype in ((".tif", np.uint16), (".jpg", np.uint8)):
            source = folder / f"scan{suffix}"
            write_plain(source, picture(PICTURES[size], dtype))
            for name in RUNNERS:
                target = folder / f"out{suffix}"
                found = in_process("--probe", name, "--files", str(source), str(target))
                rows.append({"file": f"{size} {suffix[1:]}", "runner": name, **found})
                print(rows[-1])
                target.unlink()
    return rows


def compiling(folder: Path) -> dict[str, float]:
    """Seconds of a process that paints one small picture: first of all, and from then on."""
    source = folder / "small.png"
    write_plain(source, picture(Extent(64, 64), np.uint8))
    arguments = ("--probe", OURS, "--files", str(source), str(folder / "small-out.png"))
    found = {}
    for when in ("first", "later"):
        cache = {"NUMBA_CACHE_DIR": str(folder / "machine-code")}
        found[when] = in_process(*arguments, environment=cache)["seconds"]
    print(found)
    return found


def in_process(*arguments: str, environment: dict[str, str] | None = None) -> dict[str, Any]:
    command = [sys.executable, __file__, *arguments]
    ran = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    return json.loads(ran.stdout.splitlines()[-1])


def write_plain(path: Path, pixels: np.ndarray) -> None:
    if not cv2.imwrite(str(path), pixels[..., ::-1]):
        raise OSError(f"{path} could not be written")


def as_page(report: dict[str, Any]) -> str:
    lines = [
        f"{machine.named(report['machine'])}. Made by `python benchmarks/pipeline.py`. No network; "
        "the preset is portrait.",
        "",
        "| picture | pipeline | before (s) | after (s) | both (s) | of OpenCV's time |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row['picture']} | {row['runner']} | {row['before_s']:.3f} | {row['after_s']:.3f} "
        f"| {row['both_s']:.3f} | {row['of_opencv']:.2f} |"
        for row in report["speed"]
    ]
    lines += [
        "",
        "From file to file in one fresh process each (TIFF has 16 bits, deflated):",
        "",
        "| file | pipeline | peak memory (MiB) | seconds |",
        "| --- | --- | ---: | ---: |",
    ]
    lines += [
        f"| {row['file']} | {row['runner']} | {row['peak_mb']} | {row['seconds']} |"
        for row in report["memory"]
    ]
    first, later = report["compiling_s"]["first"], report["compiling_s"]["later"]
    lines += [
        "",
        f"The first photograph on a machine compiles the arithmetic: a 64x64 picture takes "
        f"{first} s, in later processes {later} s.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--skip-scan", action="store_true", help="no 100 MP files")
    parser.add_argument("--output", type=Path, default=HERE / "results/pipeline.json")
    parser.add_argument("--probe", choices=RUNNERS, help=argparse.SUPPRESS)
    parser.add_argument("--files", type=Path, nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.probe:
        probe(args.probe, *args.files)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report = {
            "machine": machine.describe("numpy", "numba", "opencv-python-headless"),
            "compiling_s": compiling(folder),
            "speed": speed(args.rounds),
            "memory": memory(["12 MP"] if args.skip_scan else list(PICTURES), folder),
        }
    args.output.parent.mkdir(exist_ok=True)
    args.output.write_text(json.dumps(report, indent=1) + "\n")
    args.output.with_suffix(".md").write_text(as_page(report))


if __name__ == "__main__":
    main()
