"""What the serverless handler adds to the engine, once it is warm.

    python benchmarks/handler.py       # writes results/handler.{json,md}

One process; `lambda_handler` gets a function URL's event and gives Lambda's answer. What counts is
the time of a whole call less the time in `Engine.generate`: the body read, pictures decoded, the
result as PNG with its record, and as base64. The network is the tiny one of the tests, and its
smooth picture is replaced by a textured one, as PNG takes longer for that. Kinds of requests take
turns; the median of the rounds is told. The journal goes where standard output goes.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

import machine
from heliochrome.core.sample import draw_sample
from heliochrome.diffusion import Engine, Generated, GenerationRequest
from heliochrome.handlers.aws import lambda_handler
from heliochrome.handlers.models import Generator
from heliochrome.handlers.service import the_service

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "tests/handlers")]

SIDE: Final = 512
BAR_MS: Final = 20.0
_GRAIN: Final = 4.0  # standard deviation, of 255


def textured(side: int) -> np.ndarray:
    """The sample picture with grain, (1, side, side, 3) float32 in [0, 1]."""
    grey = draw_sample()[..., 0]
    drawn = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA)
    colours = np.stack([drawn, np.roll(drawn, 8, 0), np.roll(drawn, 8, 1)], axis=2)
    grainy = colours + np.random.default_rng(0).normal(0, _GRAIN, colours.shape)
    rounded = np.clip(np.rint(grainy), 0, 255)
    return (rounded / 255).astype(np.float32)[None]


class Timed:
    """The engine with a stop-watch; `seconds` of the last request, the exchange counted in."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.device, self.seconds = engine, engine.device, 0.0
        self._pictures = textured(SIDE)

    def generate(self, request: GenerationRequest, **about: Any) -> Generated:
        start = time.perf_counter()
        made = replace(self.engine.generate(request, **about), images=self._pictures)
        self.seconds = time.perf_counter() - start
        return made


def events() -> dict[str, Any]:
    from lambda_runtime import url_event

    body = {
        "prompt": "the cat",
        "seed": 7,
        "num_inference_steps": 2,
        "width": SIDE,
        "height": SIDE,
    }
    _, encoded = cv2.imencode(".jpg", np.rint(textured(SIDE)[0] * 255).astype(np.uint8))
    with_image = {**body, "image": base64.b64encode(encoded.tobytes()).decode()}
    return {
        "text to image, JSON": url_event(body),
        "text to image, Accept: image/png": url_event(body, {"accept": "image/png"}),
        "image to image, JPEG in, JSON": url_event(with_image),
    }


def measure(timed: Timed, rounds: int) -> list[dict[str, Any]]:
    kinds = events()
    found: dict[str, list[float]] = {name: [] for name in kinds}
    sizes = {}
    for turn in range(rounds + 2):
        for name, event in kinds.items():
            start = time.perf_counter()
            answer = lambda_handler(event)
            taken = time.perf_counter() - start - timed.seconds
            assert answer["statusCode"] == 200, answer["body"]
            sizes[name] = len(answer["body"])
            if turn >= 2:  # until then it is not warm
                found[name].append(taken * 1000)
    return [
        {
            "request": name,
            "rounds": rounds,
            "ms": round(statistics.median(taken), 1),
            "slowest_ms": round(max(taken), 1),
            "answer_bytes": sizes[name],
        }
        for name, taken in found.items()
    ]


def as_page(report: dict[str, Any]) -> str:
    lines = [
        f"{machine.named(report['machine'])}. {SIDE} x {SIDE}, made by `make bench`.",
        "",
        "| warm request | added to the engine, ms | slowest of the rounds, ms | answer, kB |",
        "| --- | ---: | ---: | ---: |",
        *(
            f"| {row['request']} | {row['ms']:.1f} | {row['slowest_ms']:.1f} | "
            f"{row['answer_bytes'] / 1000:.0f} |"
            for row in report["rows"]
        ),
        "",
        f"The bar is {report['bar_ms']:.0f} ms.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--output", type=Path, default=HERE / "results/handler.json")
    args = parser.parse_args()
    import tiny_diffusion

    with tempfile.TemporaryDirectory() as scratch:
        folder = tiny_diffusion.build(Path(scratch) / "tiny")
        os.environ["HELIOCHROME_DIFFUSION_MODEL"] = str(folder)
        os.environ["HELIOCHROME_CACHE"] = str(Path(scratch) / "cache")
        models = the_service().models
        opened = models.generator(lambda: None)
        timed = Timed(opened.engine)
        models.generator = lambda cancel: Generator(timed, opened.sha256)  # type: ignore
        report = {
            "machine": machine.describe("openvino", "openvino-genai", "numpy", "pyvips"),
            "bar_ms": BAR_MS,
            "rows": measure(timed, args.rounds),
        }
    args.output.write_text(json.dumps(report, indent=1) + "\n")
    args.output.with_suffix(".md").write_text(as_page(report))


if __name__ == "__main__":
    main()
