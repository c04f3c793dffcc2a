"""OpenVINO on an exported network, on the processor. Opened by `open_backend` only."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import openvino as ov

from ..cores import core_limit
from ..errors import BackendUnavailable, HeliochromeError
from ..extent import Extent
from ..full_memory import says_out_of_memory
from ..lab import FloatArray
from ..onnx_metadata import unreadable
from .base import (
    Request,
    agreed_precision,
    kept_in,
    no_room_to_load,
    one_by_one,
    out_of_memory,
    runtime_failed,
)
from .exported import Exported, find_exported
from .memory_table import activation_bytes

_log = logging.getLogger("heliochrome")

_DEVICE: Final = "CPU"
# OpenVINO keeps compiled kernels for each new size: 5000 of them, its default, took 600 MB in
# 200 sizes of the smallest network. The tiny network has about 100 a size.
_KEPT_KERNELS: Final = 200
_KEPT_KERNELS_KEY: Final = "CPU_RUNTIME_CACHE_CAPACITY"


class OpenVinoBackend:
    """See `base.Backend`."""

    name = "openvino"
    device = "cpu"

    def __init__(self, request: Request, exported: Exported, precision: str) -> None:
        self.precision = precision
        self.source_sha256 = exported.source_sha256
        self.weight_bytes = exported.weight_bytes
        self._f32_bytes = exported.f32_bytes
        self._last: Extent | None = None  # whose activations are still held
        self._compile = partial(_compiled, request, exported, precision)
        self._model: ov.CompiledModel | None = self._compile()
        self._closed = False

    def predict_ab(self, gray_rgb: FloatArray) -> FloatArray:
        return one_by_one(self._predict, gray_rgb)

    def _predict(self, gray_rgb: FloatArray) -> FloatArray:
        if self._closed:
            raise RuntimeError("this backend was closed")
        if self._model is None:
            self._model = self._compile()
        extent = Extent(gray_rgb.shape[3], gray_rgb.shape[2])
        try:
            if extent != self._last:  # another size would be held beside this one's
                self._model.release_memory()
            self._last = extent
            found: FloatArray = self._model({0: gray_rgb})[0].copy()
        except (MemoryError, RuntimeError) as error:
            if says_out_of_memory(error):
                # What it has packed and compiled so far would be missed by a smaller picture.
                self._last = self._model = None
                raise out_of_memory(gray_rgb) from error
            raise runtime_failed("OpenVINO", error) from error
        return found

    def activation_bytes(self, extent: Extent, batch: int = 1) -> int:
        return max(0, self._need(extent) - (self._need(self._last) if self._last else 0))

    def _need(self, extent: Extent) -> int:
        return activation_bytes(self.name, self.precision, self._f32_bytes, extent)

    def close(self) -> None:
        self._closed, self._model = True, None


def devices() -> tuple[str, ...]:
    return ("cpu",)


def precisions(device: str) -> tuple[str, ...]:
    """bf16 only where the processor computes in it: elsewhere it would be emulated, and slow.

    Raises BackendUnavailable if OpenVINO's own plugin cannot be loaded.
    """
    try:
        able = _core().get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")
    except RuntimeError as error:
        raise runtime_failed("OpenVINO", error) from error
    return ("f32", "bf16", "int8") if "BF16" in able else ("f32", "int8")


def load(request: Request) -> OpenVinoBackend:
    """Raises BackendUnavailable (no export, a precision this processor lacks), BadWeights,
    OutOfMemory."""
    if request.device != "cpu":
        raise BackendUnavailable(
            f"device {request.device} was asked for, but openvino runs on the processor here: "
            "choose the device cpu, or the torch or onnxruntime backend."
        )
    agreed_precision("openvino", "cpu", request.precision, precisions("cpu"))
    exported = find_exported(request, "OpenVINO")
    precision = "int8" if exported.precision == "int8" else request.precision
    precision = agreed_precision("openvino", "cpu", precision, precisions("cpu"))
    return OpenVinoBackend(request, exported, precision)


def _compiled(request: Request, exported: Exported, precision: str) -> ov.CompiledModel:
    """Raises BadWeights, OutOfMemory, BackendUnavailable."""
    with _loading(request.weights, lambda _: unreadable(exported.path)):
        network = _core().read_model(str(exported.path))
    exported.require_input(["/".join(sorted(node.get_names())) for node in network.inputs])

    def compiled(options: dict[str, Any]) -> ov.CompiledModel:
        with _loading(request.weights, partial(runtime_failed, "OpenVINO")):
            return _core().compile_model(network, _DEVICE, options)

    options = _options(precision)
    folder = kept_in(request.cache, "openvino")
    if folder is not None:
        try:
            return compiled({**options, "CACHE_DIR": folder})
        except BackendUnavailable as error:
            _log.warning("OpenVINO compiles without its cache %s: %s", folder, error.__cause__)
    return compiled(options)


@contextmanager
def _loading(weights: Path, otherwise: Callable[[Exception], HeliochromeError]) -> Iterator[None]:
    """Raise OutOfMemory where OpenVINO says so, and what `otherwise` makes of other errors."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if says_out_of_memory(error):
            raise no_room_to_load(weights) from error
        raise otherwise(error) from error


def _options(precision: str) -> dict[str, Any]:
    options: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        _KEPT_KERNELS_KEY: _KEPT_KERNELS,
    }
    if (cores := core_limit()) is not None:
        options["INFERENCE_NUM_THREADS"] = cores
    return options


@cache
def _core() -> ov.Core:
    return ov.Core()
