"""The network on our runtimes against its peers: seconds, share of the processor's peak, memory.

    python benchmarks/network.py                 # tiny and large, 256 512 960 1280: about an hour
    python benchmarks/network.py --networks tiny --sizes 512 --rounds 3

Each turn of each runner is a fresh process, since together they do not fit into memory: it loads
the network, warms it at 256 and then at the size, and is timed on the next picture; where the
warming takes longer than 15 seconds it is what counts. Runners take turns round by round, so
that a busy machine slows them alike. A row is the median of its rounds, and what is compared is
the ratio to the network in its published form in eager PyTorch. Products of 2048 x 2048 float32
matrices take their turn too: the best is the peak that shares refer to. Load time and peak
memory are those of the same processes, libraries included. Weights are stand-ins; speed does not
depend on their values. Results are kept in results/network.json and drawn by `draw.py`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

import machine
import runners

HERE = Path(__file__).parent
SIZES: Final = (256, 512, 960, 1280)
_PRODUCT: Final = 2048
_LONG: Final = 15.0  # seconds; a longer first picture is not run again


def picture(size: int) -> np.ndarray:
    plane = np.random.default_rng(size).random((1, 1, size, size), np.float32)
    return np.repeat(plane, 3, axis=1)  # (1, 3, size, size)


def timed(work: Any, *arguments: Any) -> float:
    start = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - start


def measure(network: str, checkpoint: Path, size: int, rounds: int) -> list[dict[str, Any]]:
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in runners.names()}
    rates = []
    for _ in range(rounds):
        for name, done in turns.items():
            done.append(in_process(name, checkpoint, size))
        rates.append(matrix_rate())
    counted = {folded: runners.flops(checkpoint, size, folded=folded) for folded in (False, True)}
    truth = np.load(_answer(checkpoint, runners.UPSTREAM))
    peer = statistics.median(turn["seconds"] for turn in turns[runners.UPSTREAM])
    rows = []
    for name, done in turns.items():
        median = statistics.median(turn["seconds"] for turn in done)
        work = counted[name in runners.OURS]
        answer = np.load(_answer(checkpoint, name))
        rows.append(
            {
                "network": network,
                "size": size,
                "runner": name,
                "rounds": rounds,
                "seconds": round(median, 4),
                "times_faster": round(peer / median, 2),
                "gflop": round(work / 1e9, 1),
                "share_of_peak": round(work / median / max(rates), 3),
                "peak_gflops": round(max(rates) / 1e9, 1),
                "load_seconds": statistics.median(turn["load_seconds"] for turn in done),
                "peak_mb": max(turn["peak_mb"] for turn in done),
                "max_ab_difference": float(np.abs(answer - truth).max()),
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    return rows


def matrix_rate() -> float:
    """Floating-point operations a second of the best of a few matrix products."""
    import torch

    matrix = torch.rand(_PRODUCT, _PRODUCT)
    return 2 * _PRODUCT**3 / min(timed(torch.mm, matrix, matrix) for _ in range(5))


def in_process(name: str, checkpoint: Path, size: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--probe", name, "--sizes", str(size)]
    out = subprocess.run(
        [*command, "--checkpoint", str(checkpoint)], check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(out.stdout.splitlines()[-1])
    return found


def probe(name: str, checkpoint: Path, size: int) -> dict[str, Any]:
    start = time.perf_counter()
    run = runners.open_runner(name, checkpoint)
    loaded = time.perf_counter() - start
    run(picture(256))
    x = picture(size)
    seconds = timed(run, x)
    if seconds < _LONG:
        seconds = min(timed(run, x) for _ in range(3 if seconds < 1 else 1))
    memory = machine.peak_mb()
    np.save(_answer(checkpoint, name), run(picture(256)))
    return {"seconds": seconds, "load_seconds": round(loaded, 2), "peak_mb": memory}


def _answer(checkpoint: Path, name: str) -> Path:
    """What a runner gives for one small picture, kept for the comparison."""
    return checkpoint.with_name(f"{checkpoint.stem} {name}.npy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=["tiny", "large"])
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=HERE / "results/network.json")
    parser.add_argument("--probe", help=argparse.SUPPRESS)
    parser.add_argument("--checkpoint", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.probe:
        print(json.dumps(probe(args.probe, args.checkpoint, args.sizes[0])))
        return
    rows: list[dict[str, Any]] = []
    host = machine.describe("torch", "onnxruntime", "openvino", "spandrel_extra_arches")
    with tempfile.TemporaryDirectory() as folder:
        for network in args.networks:
            checkpoint = runners.prepare(network, Path(folder))
            for size in args.sizes:
                rows += measure(network, checkpoint, size, args.rounds)
                args.output.write_text(json.dumps({"machine": host, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
