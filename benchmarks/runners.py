"""The networks that are compared: ours on each runtime, and the peers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

Predict = Callable[[np.ndarray], np.ndarray]

UPSTREAM: Final = "upstream form (eager)"
SPANDREL: Final = "spandrel_extra_arches (eager)"
PLAIN_OPENVINO: Final = "OpenVINO, network unchanged"
PEERS: Final = (UPSTREAM, SPANDREL, PLAIN_OPENVINO)
# runner -> backend and precision
OURS: Final = {
    "Heliochrome torch": ("torch", "f32"),
    "Heliochrome onnxruntime": ("onnxruntime", "f32"),
    "Heliochrome openvino": ("openvino", "f32"),
    "Heliochrome openvino bf16": ("openvino", "bf16"),
}
ENCODERS: Final = {"tiny": "convnext-t", "large": "convnext-l"}


def prepare(network: str, folder: Path) -> Path:
    """Stand-in weights and their export; the values do not matter to the speed."""
    from safetensors.numpy import save_file

    from heliochrome.core.disk import hash_file
    from heliochrome.core.export import export_onnx
    from reference import weights

    checkpoint = folder / f"{network}.safetensors"
    save_file(weights(network), checkpoint)
    export_onnx(checkpoint, checkpoint.with_suffix(".onnx"), hash_file(checkpoint))
    return checkpoint


def names() -> list[str]:
    """Runners that this machine has."""
    import openvino

    can = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    ours = [name for name, (_, precision) in OURS.items() if precision == "f32" or "BF16" in can]
    return [*PEERS, *ours]


def open_runner(name: str, checkpoint: Path, cache: Path | None = None) -> Predict:
    """cache: where compiled networks are kept, for the second load."""
    if name in OURS:
        from heliochrome.core.backends import open_backend

        backend, precision = OURS[name]
        opened = open_backend(checkpoint, backend, "cpu", precision=precision, cache=cache)
        return opened.predict_ab
    net = _network(name, checkpoint)
    if name == PLAIN_OPENVINO:
        return _in_openvino(net)
    return _eager(net)


def flops(checkpoint: Path, size: int, *, folded: bool) -> int:
    """Multiplications and additions of matrix products and convolutions in one pass."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from heliochrome.arch import FoldedDDColor
    from heliochrome.core.weights import load_network

    net = load_network(checkpoint)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        (FoldedDDColor(net) if folded else net)(torch.zeros(1, 3, size, size))
    return counter.get_total_flops()


def _network(name: str, checkpoint: Path):
    if name == UPSTREAM:
        from heliochrome.core.weights import load_network

        return load_network(checkpoint)
    from safetensors.torch import load_file

    from peer import peer_network

    net = peer_network(ENCODERS[checkpoint.stem])
    net.load_state_dict(load_file(checkpoint))
    return net


def _eager(net) -> Predict:
    import torch

    def predict(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return net(torch.from_numpy(x)).numpy()

    return predict


def _in_openvino(net) -> Predict:
    """What one gets by handing the published network to OpenVINO as it is."""
    import openvino
    import torch

    model = openvino.convert_model(net, example_input=torch.zeros(1, 3, 256, 256))
    model.reshape([1, 3, -1, -1])
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()

    def predict(x: np.ndarray) -> np.ndarray:
        request.infer({0: x})
        return request.get_output_tensor(0).data.copy()

    return predict
