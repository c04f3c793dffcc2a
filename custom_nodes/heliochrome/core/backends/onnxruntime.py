"""ONNX Runtime on an exported network, on the processor or with CUDA. Opened by `open_backend`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any, Final

import onnxruntime as ort

from ..cores import core_limit
from ..errors import BackendUnavailable
from ..export import INPUT_NAME
from ..extent import Extent
from ..full_memory import says_out_of_memory
from ..lab import FloatArray
from ..onnx_metadata import unreadable
from .base import (
    Request,
    agreed_precision,
    no_room_to_load,
    one_by_one,
    out_of_memory,
    runtime_failed,
)
from .exported import Exported, find_exported
from .memory_table import activation_bytes
from .nvidia import gpu_name

Provider = str | tuple[str, dict[str, Any]]

_CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"
_state = ort.capi.onnxruntime_pybind11_state
_UNREADABLE: Final = (_state.InvalidProtobuf, _state.InvalidGraph, _state.NoSuchFile)
_FAILED: Final = (
    _state.Fail,
    _state.RuntimeException,
    _state.EPFail,
    _state.NotImplemented,
    _state.InvalidArgument,
)


class OnnxRuntimeBackend:
    """See `base.Backend`. Also what the TensorRT backend is: one of ONNX Runtime's providers."""

    def __init__(
        self, session: ort.InferenceSession, exported: Exported, name: str, device: str, kind: str
    ) -> None:
        self.name = name
        self.device = device
        self.precision = kind
        self.source_sha256 = exported.source_sha256
        self.weight_bytes = exported.weight_bytes
        self._f32_bytes = exported.f32_bytes
        self._session: ort.InferenceSession | None = session

    def predict_ab(self, gray_rgb: FloatArray) -> FloatArray:
        return one_by_one(self._predict, gray_rgb)

    def _predict(self, gray_rgb: FloatArray) -> FloatArray:
        if self._session is None:
            raise RuntimeError("this backend was closed")
        try:
            found: FloatArray = self._session.run(None, {INPUT_NAME: gray_rgb})[0]
        except (MemoryError, *_FAILED) as error:
            if is_out_of_memory(error):
                raise out_of_memory(gray_rgb) from error
            raise runtime_failed(self.name, error) from error
        return found

    def activation_bytes(self, extent: Extent, batch: int = 1) -> int:
        return activation_bytes(self.name, self.precision, self._f32_bytes, extent)

    def close(self) -> None:
        self._session = None


def devices() -> tuple[str, ...]:
    gpu = CUDA in ort.get_available_providers() and gpu_name() is not None
    return ("cuda", "cpu") if gpu else ("cpu",)


def precisions(device: str) -> tuple[str, ...]:
    return ("f32", "int8") if device == "cpu" else ("f32",)


def load(request: Request) -> OnnxRuntimeBackend:
    """Raises BackendUnavailable (no export, no such device or precision), BadWeights,
    OutOfMemory."""
    if request.device == "cuda" and "cuda" not in devices():
        raise BackendUnavailable(
            "device cuda was asked for, but ONNX Runtime finds no CUDA support or no NVIDIA GPU "
            "here: choose the device cpu, or install the driver and "
            '`pip install "heliochrome[gpu]"`.'
        )
    agreed_precision("onnxruntime", request.device, request.precision, precisions(request.device))
    exported = find_exported(request, "ONNX Runtime")
    if request.device == "cuda":
        preload_cuda()
        session = open_session(request, exported, [(CUDA, cuda_options())])
    else:
        session = open_session(request, exported, [_CPU])
    precision = "int8" if exported.precision == "int8" else "f32"
    agreed_precision("onnxruntime", request.device, precision, precisions(request.device))
    return OnnxRuntimeBackend(session, exported, "onnxruntime", request.device, precision)


def preload_cuda() -> None:
    """Find CUDA's own libraries where pip puts them, beside PyTorch."""
    with redirect_stdout(sys.stderr):  # it prints what it misses; ours is for results
        ort.preload_dlls()


def cuda_options() -> dict[str, Any]:
    """Options of the CUDA provider; its arena grows by what is asked, not by doubling."""
    return {
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "HEURISTIC",  # EXHAUSTIVE tries every new size for seconds
        "cudnn_conv_use_max_workspace": "0",
        "use_tf32": "0",  # f32 is what was asked for
    }


def open_session(
    request: Request, exported: Exported, providers: Sequence[Provider]
) -> ort.InferenceSession:
    """A session whose first provider is in use, with its input checked.

    Raises BadWeights, OutOfMemory, BackendUnavailable.
    """
    options = ort.SessionOptions()
    options.log_severity_level = 3  # its warnings are about its own optimiser
    # The arena keeps the peak of every size it has seen; photographs come in many sizes.
    options.enable_cpu_mem_arena = False
    # Plans of memory use are kept for every size too.
    options.enable_mem_pattern = False
    if (cores := core_limit()) is not None:
        options.intra_op_num_threads = cores
    try:
        session = ort.InferenceSession(str(exported.path), options, providers=list(providers))
    except _UNREADABLE as error:
        raise unreadable(exported.path) from error
    except (MemoryError, *_FAILED) as error:
        if is_out_of_memory(error):
            raise no_room_to_load(request.weights) from error
        raise runtime_failed("ONNX Runtime", error) from error
    exported.require_input([node.name for node in session.get_inputs()])
    wanted = providers[0] if isinstance(providers[0], str) else providers[0][0]
    if wanted not in session.get_providers():  # ONNX Runtime goes on without, on the processor
        raise BackendUnavailable(
            f"ONNX Runtime cannot use its {wanted} here: its libraries are missing or of another "
            "version (see its message above). Choose the device cpu, or choose auto."
        )
    return session


_OUT_OF_MEMORY: Final = (
    "cuda failure 2:",
    # a bad_alloc of C++ that another library in the process (seen in ComfyUI 0.33) had compiled
    "encountered unknown exception in run()",
)


def is_out_of_memory(error: Exception) -> bool:
    """ONNX Runtime reports a full memory as one of its general errors."""
    return says_out_of_memory(error, *_OUT_OF_MEMORY)
