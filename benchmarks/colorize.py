"""Seconds per image and peak memory of our backends against the original network.

    python benchmarks/colorize.py            # tiny, 256/512/1024, writes results/colorize.{json,md}
    python benchmarks/colorize.py --sizes 512 --rounds 3

The peer is the network of spandrel_extra_arches in eager mode. All run in one process,
interleaved round by round, so that a busy machine slows them alike; the figure is the
median, and what is compared is the ratio. Peak memory comes from one fresh process each.
The weights are the stand-ins of tests/data/ddcolor_reference; speed does not depend on them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
PEER = "original (eager)"
RUNNERS = (PEER, "torch", "onnxruntime")
Predict = Callable[[np.ndarray], np.ndarray]


def open_runner(name: str, checkpoint: Path) -> Predict:
    if name == PEER:
        import torch
        from safetensors.torch import load_file

        from peer import peer_network

        net = peer_network("convnext-t")
        net.load_state_dict(load_file(checkpoint))

        def predict(x: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                return net(torch.from_numpy(x)).numpy()

        return predict
    from heliochrome.core.backends import open_backend

    return open_backend(checkpoint, name, "cpu").predict_ab


def picture(size: int) -> np.ndarray:
    from reference import generator

    return generator().gray_input(size, size)


def measure(checkpoint: Path, sizes: list[int], rounds: int) -> list[dict[str, Any]]:
    runners = {name: open_runner(name, checkpoint) for name in RUNNERS}
    rows = []
    for size in sizes:
        x = picture(size)
        warm = {name: run(x) for name, run in runners.items()}
        seconds: dict[str, list[float]] = {name: [] for name in runners}
        for _ in range(rounds):
            for name, run in runners.items():
                start = time.perf_counter()
                run(x)
                seconds[name].append(time.perf_counter() - start)
        peer = statistics.median(seconds[PEER])
        for name in runners:
            median = statistics.median(seconds[name])
            rows.append(
                {
                    "backend": name,
                    "size": size,
                    "seconds": round(median, 4),
                    "times_faster": round(peer / median, 2),
                    "max_ab_difference": float(np.abs(warm[name] - warm[PEER]).max()),
                    "peak_mb": peak_mb(name, checkpoint, size),
                }
            )
            print(
                "{backend:18} {size:5} {seconds:8.3f} s {times_faster:6.2f}x {peak_mb:6} MB".format(
                    **rows[-1]
                )
            )
    return rows


def peak_mb(name: str, checkpoint: Path, size: int) -> int:
    """Peak resident memory of a process that opens the backend and runs it once."""
    command = [sys.executable, __file__, "--probe", name, "--sizes", str(size), "--checkpoint"]
    out = subprocess.run([*command, str(checkpoint)], check=True, capture_output=True, text=True)
    return int(out.stdout.split()[-1])


def probe(name: str, checkpoint: Path, size: int) -> None:
    open_runner(name, checkpoint)(picture(size))
    # not ru_maxrss: that starts from the parent's size at the fork
    status = Path("/proc/self/status").read_text()
    print(int(status.split("VmHWM:")[1].split()[0]) // 1024)


def machine() -> dict[str, Any]:
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    import onnxruntime
    import torch

    return {
        "processor": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "onnxruntime": onnxruntime.__version__,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=HERE / "results/colorize.json")
    parser.add_argument("--probe", help=argparse.SUPPRESS)
    parser.add_argument("--checkpoint", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.probe:
        probe(args.probe, args.checkpoint, args.sizes[0])
        return
    from safetensors.numpy import save_file

    from heliochrome.core.export import export_onnx
    from reference import weights

    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "tiny.safetensors"
        save_file(weights("tiny"), checkpoint)
        export_onnx(checkpoint, checkpoint.with_suffix(".onnx"), "stand-in")
        rows = measure(checkpoint, args.sizes, args.rounds)
    report = {"machine": machine(), "network": "tiny", "rows": rows}
    args.output.parent.mkdir(exist_ok=True)
    args.output.write_text(json.dumps(report, indent=1) + "\n")
    args.output.with_suffix(".md").write_text(as_table(report))


def as_table(report: dict[str, Any]) -> str:
    """The report as the page that the documentation links to."""
    host = report["machine"]
    lines = [
        f"DDColor {report['network']}, {host['processor']}, {host['cores']} cores, "
        f"torch {host['torch']}, ONNX Runtime {host['onnxruntime']}. Made by "
        "`python benchmarks/colorize.py`.",
        "",
        "| size | network | seconds | times faster | peak memory (MB) | largest ab difference |",
        "| ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row['size']} | {row['backend']} | {row['seconds']:.2f} | {row['times_faster']:.2f} "
        f"| {row['peak_mb']} | {row['max_ab_difference']:.1e} |"
        for row in report["rows"]
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
