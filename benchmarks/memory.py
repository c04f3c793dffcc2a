"""Memory that each backend takes for one picture, each in a process of its own.

    python benchmarks/memory.py MODELS_FOLDER          # writes results/memory.json

MODELS_FOLDER holds tiny.safetensors and large.safetensors with their .onnx (and .int8.onnx)
beside them; speed and memory do not hang on the values, so stand-ins will do. The figures are
those that core/backends/memory_table.py is made from. Linux only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import machine

HERE = Path(__file__).parent
SIZES = {"tiny": (256, 512, 1024, 1280), "large": (256, 512, 1280)}
KINDS = (
    ("openvino", "f32"),
    ("onnxruntime", "f32"),
    ("torch", "f32"),
    ("openvino", "bf16"),
    ("openvino", "int8"),
    ("onnxruntime", "int8"),
)


def resident(key: str) -> int:
    """VmRSS or VmHWM of this process, bytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{key}:")[1].split()[0]) * 1024


def probe(weights: Path, backend: str, precision: str, size: int) -> dict[str, Any]:
    from heliochrome.core.backends import open_backend

    start = time.perf_counter()
    opened = open_backend(weights, backend, "cpu", precision=precision)
    load_seconds = time.perf_counter() - start
    load_peak, loaded = resident("VmHWM"), resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts again from VmRSS
    gray = np.random.default_rng(0).random((1, 1, size, size), np.float32)
    opened.predict_ab(np.repeat(gray, 3, axis=1))
    return {
        "backend": backend,
        "precision": precision,
        "network": weights.stem,
        "size": size,
        "weight_bytes": opened.weight_bytes,
        "load_seconds": round(load_seconds, 2),
        "load_peak_bytes": load_peak,
        "loaded_bytes": loaded,
        "growth_bytes": resident("VmHWM") - loaded,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=Path)
    parser.add_argument("--output", type=Path, default=HERE / "results/memory.json")
    parser.add_argument("--probe", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--network", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.probe:
        backend, precision, size = args.probe
        weights = args.models / f"{args.network}.safetensors"
        print(json.dumps(probe(weights, backend, precision, int(size))))
        return
    host = machine.describe("torch", "onnxruntime", "openvino")
    rows = []
    for network, sizes in SIZES.items():
        for backend, precision in KINDS:
            if precision == "int8" and not (args.models / f"{network}.int8.onnx").is_file():
                continue
            for size in sizes:
                command = [sys.executable, __file__, str(args.models), "--network", network]
                command += ["--probe", backend, precision, str(size)]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode:
                    print(f"{backend} {precision} {network} {size}: {done.stderr[-200:]}")
                    continue
                rows.append(json.loads(done.stdout.splitlines()[-1]))
                print("{backend} {precision} {network} {size}: {growth_bytes:,}".format(**rows[-1]))
                args.output.write_text(json.dumps({"machine": host, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
