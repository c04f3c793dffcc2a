"""Stable Diffusion: what the engine adds to its UNet, and how fast a kept model opens again.

    python benchmarks/diffusion.py       # writes results/diffusion.{json,md}

The pipeline is `tests/tiny_diffusion.py:middle`: random weights, a UNet of 98 convolutions and
18 million numbers at 256 x 256, everything around it tiny. It is far smaller than a real one, so
what does not shrink with the network weighs more here.

Overhead: a whole request to the engine, prompt to picture, against the same number of passes of
the UNet alone and against openvino-genai called directly. They run in one process and take turns
round by round; what counts is the median of the rounds' ratios. The share outside the UNet is
that of the engine's requests by openvino-genai's own clock of each pass: a busy machine does not
blur it. Opening: fresh processes in pairs, the first with an empty cache folder, the second with
what it left. What the serverless handler adds to the engine is measured by handler.py.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

import machine
from heliochrome.diffusion import Engine, GenerationRequest, open_engine
from heliochrome.diffusion.noise import seeded_noise

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

UNET: Final = "UNet alone"
GENAI: Final = "openvino-genai, called directly"
ENGINE: Final = "Heliochrome engine"
BARS: Final = {"overhead": 0.03, "second_load": 0.6}
_OPTIONS: Final = {
    "PERFORMANCE_HINT": "LATENCY",
    "INFERENCE_PRECISION_HINT": "f32",
    "NUM_STREAMS": 1,
}
_PROMPT: Final = "a photograph of a cat and a dog in the garden"
_GUIDANCE: Final = 7.5
Work = Callable[[], object]


def alone(folder: Path, steps: int) -> Work:
    """As many passes of the UNet as `steps` of DDIM need, with guidance: two pictures a pass."""
    import openvino

    model = openvino.Core().read_model(folder / "unet" / "openvino_model.xml")
    request = openvino.Core().compile_model(model, "CPU", _OPTIONS).create_infer_request()
    config = json.loads((folder / "unet" / "config.json").read_text())
    side, width = config["sample_size"], config["cross_attention_dim"]
    draws = np.random.default_rng(0)
    sample = draws.standard_normal((2, config["in_channels"], side, side), np.float32)
    context = draws.standard_normal((2, 77, width), np.float32)

    def work() -> None:
        for step in range(steps):
            request.set_tensor("sample", openvino.Tensor(sample))
            request.set_tensor("timestep", openvino.Tensor(np.array([steps - step])))
            request.set_tensor("encoder_hidden_states", openvino.Tensor(context))
            request.infer()

    return work


def direct(folder: Path, steps: int) -> Work:
    """The bare library, with the engine's noise."""
    import openvino_genai as genai

    pipeline = genai.Text2ImagePipeline(folder, "CPU", **_OPTIONS)
    config = folder / "scheduler" / "scheduler_config.json"

    def work() -> None:
        pipeline.set_scheduler(genai.Scheduler.from_config(config, genai.Scheduler.Type.DDIM))
        pipeline.generate(
            _PROMPT,
            num_inference_steps=steps,
            guidance_scale=_GUIDANCE,
            generator=seeded_noise(1),
        )

    return work


def engine(opened: Engine, steps: int) -> Work:
    asked = GenerationRequest(
        prompt=_PROMPT,
        num_inference_steps=steps,
        guidance_scale=_GUIDANCE,
        seed=1,
        scheduler="ddim",
    )
    return lambda: opened.generate(asked, progress=lambda done, total: None)


def overhead(folder: Path, rounds: int, steps: int) -> dict[str, Any]:
    """One row for each runner; times_unet: the median of its rounds' ratios."""
    opened = open_engine(folder)
    works = {
        UNET: alone(folder, steps),
        GENAI: direct(folder, steps),
        ENGINE: engine(opened, steps),
    }
    for work in works.values():
        work()
    seconds: dict[str, list[float]] = {name: [] for name in works}
    outside = []
    for turn in range(rounds):
        names = list(works)
        for name in names[turn % 3 :] + names[: turn % 3]:  # each is first in turn
            start = time.perf_counter()
            works[name]()
            seconds[name].append(time.perf_counter() - start)
        outside.append(seconds[ENGINE][-1] / passes(opened) - 1)
    return {
        "steps": steps,
        "rounds": rounds,
        "outside_unet": round(statistics.median(outside), 4),
        "rows": [
            {
                "runner": name,
                "seconds": round(statistics.median(taken), 4),
                "times_unet": round(_median_ratio(taken, seconds[UNET]), 4),
            }
            for name, taken in seconds.items()
        ],
    }


def passes(opened: Engine) -> float:
    """Seconds that the UNet took in the engine's last request."""
    # The engine has no public way to its pipeline: nobody but a benchmark needs one.
    pipelines = opened._pipelines
    assert pipelines is not None
    metrics = pipelines.by_mode["text-to-image"].get_performance_metrics()
    return float(sum(metrics.raw_metrics.unet_inference_durations)) / 1e6


def loads(folder: Path, rounds: int) -> list[dict[str, Any]]:
    """The first and the second opening; times_first: the median of the pairs' ratios."""
    found: dict[str, list[float]] = {"first": [], "second": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            for taken in found.values():
                command = [sys.executable, __file__, "--probe", str(folder), "--cache", cache]
                out = subprocess.run(command, check=True, capture_output=True, text=True)
                taken.append(float(out.stdout))
    return [
        {
            "opening": name,
            "rounds": rounds,
            "seconds": round(statistics.median(taken), 4),
            "times_first": round(_median_ratio(taken, found["first"]), 4),
        }
        for name, taken in found.items()
    ]


def probe(folder: Path, cache: Path) -> float:
    """Seconds to open the model in this process; importing the libraries is not counted."""
    import openvino_genai  # noqa: F401

    start = time.perf_counter()
    open_engine(folder, cache=cache)
    return time.perf_counter() - start


def as_page(report: dict[str, Any]) -> str:
    bars, overhead = report["bars"], report["overhead"]
    lines = [
        f"{machine.named(report['machine'])}. {report['network']}, made by `make bench`.",
        "",
        f"| one picture of {overhead['steps']} steps | seconds | times the UNet alone |",
        "| --- | ---: | ---: |",
        *(
            f"| {row['runner']} | {row['seconds']:.3f} | {row['times_unet']:.3f} |"
            for row in overhead["rows"]
        ),
        "",
        f"The bar for the engine is {1 + bars['overhead']:.2f}. By openvino-genai's own clock, its "
        f"requests spend outside the UNet {overhead['outside_unet']:.1%} of what they spend in it.",
        "",
        "| opening the model, cache folder given | seconds | times the first |",
        "| --- | ---: | ---: |",
        *(
            f"| {row['opening']} | {row['seconds']:.3f} | {row['times_first']:.2f} |"
            for row in report["loads"]
        ),
        "",
        f"The bar for the second is {bars['second_load']:.2f}.",
    ]
    return "\n".join(lines) + "\n"


def _median_ratio(taken: list[float], base: list[float]) -> float:
    return statistics.median(one / other for one, other in zip(taken, base, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--output", type=Path, default=HERE / "results/diffusion.json")
    parser.add_argument("--probe", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--cache", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.probe:
        print(probe(args.probe, args.cache))
        return
    from tiny_diffusion import middle

    with tempfile.TemporaryDirectory() as scratch:
        folder = middle(Path(scratch) / "middle")
        report = {
            "machine": machine.describe("openvino", "openvino-genai", "numpy"),
            "network": "tests/tiny_diffusion.py:middle, 256 x 256, guidance, f32",
            "bars": BARS,
            "overhead": overhead(folder, args.rounds, args.steps),
            "loads": loads(folder, args.rounds),
        }
    args.output.write_text(json.dumps(report, indent=1) + "\n")
    args.output.with_suffix(".md").write_text(as_page(report))


if __name__ == "__main__":
    main()
