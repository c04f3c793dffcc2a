"""ONNX Runtime on an exported network. Opened by `open_backend` only."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import onnxruntime as ort

from ..errors import BackendUnavailable, BadWeights
from ..export import INPUT_NAME, SOURCE_KEY, export_command
from ..extent import Extent
from ..lab import FloatArray
from ..weights_file import ONNX_SUFFIX
from .base import out_of_memory

# Growth of the peak per input pixel from 512 to 1024, tiny network on CPU
# (benchmarks/results/colorize.md). The large network has not been measured.
_BYTES_PER_PIXEL: Final = 1010


class OnnxRuntimeBackend:
    """See `base.Backend`."""

    name = "onnxruntime"
    precision = "f32"

    def __init__(self, session: ort.InferenceSession, weight_bytes: int, device: str) -> None:
        self.device = device
        self.weight_bytes = weight_bytes
        self.source_sha256 = session.get_modelmeta().custom_metadata_map.get(SOURCE_KEY, "unknown")
        self._session: ort.InferenceSession | None = session

    def predict_ab(self, gray_rgb: FloatArray) -> FloatArray:
        if self._session is None:
            raise RuntimeError("this backend was closed")
        try:
            found: FloatArray = self._session.run(None, {INPUT_NAME: gray_rgb})[0]
        except (MemoryError, ort.capi.onnxruntime_pybind11_state.RuntimeException) as error:
            if not isinstance(error, MemoryError) and "alloc" not in str(error).lower():
                raise
            raise out_of_memory(gray_rgb) from error
        return found

    def activation_bytes(self, extent: Extent, batch: int = 1) -> int:
        return batch * extent.pixels * _BYTES_PER_PIXEL

    def close(self) -> None:
        self._session = None


def load(weights: Path, device: str) -> OnnxRuntimeBackend:
    """Raises BackendUnavailable when there is no exported model or no such device, BadWeights."""
    model = weights.with_suffix(ONNX_SUFFIX)
    if not model.is_file():
        raise BackendUnavailable(
            f"ONNX Runtime needs an exported model, and {model} does not exist: "
            f"run `{export_command(weights)}` once, or choose the torch backend."
        )
    usable = ort.get_available_providers()
    if device == "cuda" and "CUDAExecutionProvider" not in usable:
        raise BackendUnavailable(
            "device cuda was asked for, but this ONNX Runtime has no CUDA support: "
            "choose the device cpu, or install onnxruntime-gpu."
        )
    on_gpu = device != "cpu" and "CUDAExecutionProvider" in usable
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"][0 if on_gpu else 1 :]
    options = ort.SessionOptions()
    options.log_severity_level = 3  # its warnings are about its own optimiser
    # The arena keeps the peak of every size it has seen; photographs come in many sizes.
    options.enable_cpu_mem_arena = False
    try:
        session = ort.InferenceSession(str(model), options, providers=providers)
    except (
        ort.capi.onnxruntime_pybind11_state.InvalidProtobuf,
        ort.capi.onnxruntime_pybind11_state.InvalidGraph,
        ort.capi.onnxruntime_pybind11_state.Fail,
    ) as error:
        raise BadWeights(
            f"{model} is not a readable ONNX model: export it again with "
            f"`{export_command(weights)} --overwrite`."
        ) from error
    if [node.name for node in session.get_inputs()] != [INPUT_NAME]:
        raise BadWeights(
            f"{model} is not a model that Heliochrome exported (input {INPUT_NAME!r} expected, "
            f"got {[node.name for node in session.get_inputs()]}): export it again."
        )
    device_used = "cuda" if "CUDAExecutionProvider" in session.get_providers() else "cpu"
    return OnnxRuntimeBackend(session, model.stat().st_size, device_used)
