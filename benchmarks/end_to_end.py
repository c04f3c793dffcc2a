"""A 12 megapixel JPEG to a JPEG: what a user runs, against the original pipeline.

    python benchmarks/end_to_end.py       # writes results/end_to_end.{json,md}

Ours is `albums.run` with OpenVINO in f32: decode, lightness, network, merge, encode, metadata and
record. The peer does what the original script does: OpenCV on whole float pictures and the
published network in eager PyTorch. Both run in one process and take turns; the median counts.
At the same size the original squashes the picture to a square, and ours keeps its aspect, so
ours shows the network 3/4 of the pixels of a 4:3 photograph; reference mode shows it as many.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

import machine
import runners
from heliochrome.core.albums import Task, run
from heliochrome.core.jobs import never_cancel
from heliochrome.core.loading import open_model
from heliochrome.core.recipe import Recipe
from heliochrome.core.store import ModelStore
from heliochrome.core.treatment import Colorization

HERE = Path(__file__).parent
SIZES: Final = (512, 960)
ORIGINAL: Final = "original pipeline (OpenCV, eager PyTorch)"
Work = Callable[[int], None]


def photograph(path: Path) -> None:
    """4000 x 3000 grey: smooth parts, edges and grain, made up."""
    y, x = np.mgrid[:3000, :4000].astype(np.float32) / 4000
    plane = 0.5 + 0.3 * np.sin(9 * x + 4 * y) + 0.2 * ((x * 37).astype(int) % 2) - 0.1
    grain = np.random.default_rng(7).normal(0, 0.02, plane.shape)
    grey = np.rint(np.clip(plane + grain, 0, 1) * 255).astype(np.uint8)
    cv2.imwrite(str(path), grey, [cv2.IMWRITE_JPEG_QUALITY, 95])


def original(source: Path, target: Path, predict: runners.Predict) -> Work:
    """The published script's steps, written anew from its description."""

    def work(size: int) -> None:
        picture = cv2.imread(str(source)).astype(np.float32) / 255
        light = cv2.cvtColor(picture, cv2.COLOR_BGR2Lab)[..., :1]
        small = cv2.cvtColor(cv2.resize(picture, (size, size)), cv2.COLOR_BGR2Lab)
        small[..., 1:] = 0
        seen = cv2.cvtColor(small, cv2.COLOR_LAB2RGB).transpose(2, 0, 1)[None]
        ab = predict(np.ascontiguousarray(seen))[0].transpose(1, 2, 0)
        full = cv2.resize(ab, (light.shape[1], light.shape[0]), interpolation=cv2.INTER_NEAREST)
        coloured = cv2.cvtColor(np.concatenate((light, full), axis=2), cv2.COLOR_LAB2BGR)
        pixels = np.rint(coloured * 255).clip(0, 255).astype(np.uint8)
        cv2.imwrite(str(target), pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])

    return work


def ours(source: Path, target: Path, checkpoint: Path, cache: Path, **overrides: Any) -> Work:
    model = open_model(ModelStore([], cache), str(checkpoint), "openvino", "cpu")

    def work(size: int) -> None:
        recipe = Recipe("portrait", {"size": size, **overrides})
        tasks = [Task(source, target)]
        (done,) = run(tasks, Colorization(model, recipe), overwrite=True, cancel=never_cancel)
        assert done.status == "done", done.text

    return work


def measure(rounds: int, sizes: list[int]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "photo.jpg"
        photograph(source)
        checkpoint = runners.prepare("tiny", folder)
        predict = runners.open_runner(runners.UPSTREAM, checkpoint)
        works = {
            ORIGINAL: original(source, folder / "peer.jpg", predict),
            "Heliochrome": ours(source, folder / "ours.jpg", checkpoint, folder),
            "Heliochrome, reference mode": ours(
                source, folder / "reference.jpg", checkpoint, folder, reference_mode=True
            ),
        }
        rows = []
        for size in sizes:
            seconds: dict[str, list[float]] = {name: [] for name in works}
            for turn in range(rounds + 1):
                for name, work in works.items():
                    start = time.perf_counter()
                    work(size)
                    if turn:  # the first one warms
                        seconds[name].append(time.perf_counter() - start)
            peer = statistics.median(seconds[ORIGINAL])
            for name, took in seconds.items():
                median = statistics.median(took)
                row = {"size": size, "pipeline": name, "seconds": round(median, 2)}
                rows.append({**row, "times_faster": round(peer / median, 2)})
                print(rows[-1], flush=True)
    return rows


def as_page(report: dict[str, Any]) -> str:
    lines = [
        f"{machine.named(report['machine'])}. DDColor tiny, made by `make bench`.",
        "",
        "| size | 12 MP JPEG to JPEG | seconds | times faster |",
        "| ---: | --- | ---: | ---: |",
    ]
    lines += [
        f"| {row['size']} | {row['pipeline']} | {row['seconds']:.2f} | {row['times_faster']:.2f} |"
        for row in report["rows"]
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    args = parser.parse_args()
    host = machine.describe("torch", "openvino", "opencv-python-headless", "pyvips")
    report = {"machine": host, "rows": measure(args.rounds, args.sizes)}
    target = HERE / "results/end_to_end.json"
    target.write_text(json.dumps(report, indent=1) + "\n")
    target.with_suffix(".md").write_text(as_page(report))


if __name__ == "__main__":
    main()
