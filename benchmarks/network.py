"""The network on our runtimes against its peers: seconds, share of the processor's peak, memory.

    python benchmarks/network.py                      # tiny and large, 256 512 960 1280: ~45 min
    python benchmarks/network.py --networks tiny --sizes 512 --rounds 3

All runners of one network and size take turns in one process, so that a busy machine slows
them alike; a row is the median of its rounds, and what is compared is the ratio to the network
in its published form in eager PyTorch. Matrix products of 2048 x 2048 float32 take their turn
too: the best of them is the peak that shares refer to. Peak memory and load time come from one
fresh process each, its libraries included. Weights are stand-ins; speed does not depend on
their values. Results are kept in results/network.json and drawn by `draw.py`.
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
_PATIENCE: Final = 150.0  # seconds for the rounds of one network and size; at least two are run


def picture(size: int) -> np.ndarray:
    plane = np.random.default_rng(size).random((1, 1, size, size), np.float32)
    return np.repeat(plane, 3, axis=1)  # (1, 3, size, size)


def timed(work: Any, *arguments: Any) -> float:
    start = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - start


def measure(network: str, checkpoint: Path, sizes: list[int], rounds: int) -> list[dict[str, Any]]:
    import torch

    opened = {name: runners.open_runner(name, checkpoint) for name in runners.names()}
    for run in opened.values():
        run(picture(256))  # warm
    product = torch.rand(_PRODUCT, _PRODUCT)
    rows = []
    for size in sizes:
        x = picture(size)
        given = {name: run(x) for name, run in opened.items()} if size <= 512 else {}
        seconds: dict[str, list[float]] = {name: [] for name in opened}
        rates, begun = [], time.perf_counter()
        while len(rates) < rounds:
            if len(rates) >= 2 and time.perf_counter() - begun > _PATIENCE:
                break
            for name, run in opened.items():
                seconds[name].append(timed(run, x))
            rates.append(2 * _PRODUCT**3 / min(timed(torch.mm, product, product) for _ in range(3)))
        counted = {
            folded: runners.flops(network, checkpoint, size, folded=folded)
            for folded in (False, True)
        }
        truth = given.get(runners.UPSTREAM)
        for name in opened:
            median = statistics.median(seconds[name])
            work = counted[name in runners.OURS]
            row = {
                "network": network,
                "size": size,
                "runner": name,
                "rounds": len(rates),
                "seconds": round(median, 4),
                "times_faster": round(statistics.median(seconds[runners.UPSTREAM]) / median, 2),
                "gflop": round(work / 1e9, 1),
                "share_of_peak": round(work / median / max(rates), 3),
                "peak_gflops": round(max(rates) / 1e9, 1),
                **probe(name, checkpoint, size),
            }
            if truth is not None:
                row["max_ab_difference"] = float(np.abs(given[name] - truth).max())
            rows.append(row)
            print(json.dumps(row), flush=True)
    return rows


def probe(name: str, checkpoint: Path, size: int) -> dict[str, Any]:
    """Load time and peak memory of a process that opens the network and runs it once."""
    command = [sys.executable, __file__, "--probe", name, "--sizes", str(size)]
    out = subprocess.run(
        [*command, "--checkpoint", str(checkpoint)], check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(out.stdout.splitlines()[-1])
    return found


def probed(name: str, checkpoint: Path, size: int) -> dict[str, Any]:
    start = time.perf_counter()
    run = runners.open_runner(name, checkpoint)
    loaded = time.perf_counter() - start
    run(picture(size))
    return {"load_seconds": round(loaded, 2), "peak_mb": machine.peak_mb()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=["tiny", "large"])
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=HERE / "results/network.json")
    parser.add_argument("--probe", help=argparse.SUPPRESS)
    parser.add_argument("--checkpoint", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.probe:
        print(json.dumps(probed(args.probe, args.checkpoint, args.sizes[0])))
        return
    rows: list[dict[str, Any]] = []
    host = machine.describe("torch", "onnxruntime", "openvino", "spandrel_extra_arches")
    with tempfile.TemporaryDirectory() as folder:
        for network in args.networks:
            checkpoint = runners.prepare(network, Path(folder))
            rows += measure(network, checkpoint, args.sizes, args.rounds)
            args.output.write_text(json.dumps({"machine": host, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
