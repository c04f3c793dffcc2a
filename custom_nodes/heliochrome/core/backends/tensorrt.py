"""TensorRT, as a provider of ONNX Runtime. Opened by `open_backend` only.

Never run by its author, who has no GPU. Options as in ONNX Runtime's "TensorRT Execution
Provider" page; its 1.31 wants TensorRT 10 (libnvinfer.so.10), not 11.
"""

from __future__ import annotations

import ctypes
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import onnxruntime as ort

from ..errors import BackendUnavailable
from ..export import INPUT_NAME
from ..presets import MAX_SIZE, SIZE_STEP
from .base import Request, agreed_precision, kept_in
from .exported import find_exported
from .installed import install_command
from .nvidia import gpu_name
from .onnxruntime import CUDA, OnnxRuntimeBackend, cuda_options, open_session, preload_cuda

_TENSORRT: Final = "TensorrtExecutionProvider"
_LIBRARY: Final = "nvinfer_10.dll" if os.name == "nt" else "libnvinfer.so.10"
# A panorama has a short side below MIN_SIZE.
_LEAST: Final = SIZE_STEP
_USUAL_SIZE: Final = 512  # what the engine is tuned for


def devices() -> tuple[str, ...]:
    return ("cuda",) if _missing() is None else ()


def precisions(device: str) -> tuple[str, ...]:
    return ("fp16", "f32")


def load(request: Request) -> OnnxRuntimeBackend:
    """The first run on a machine builds an engine, which takes minutes; `cache` keeps it.

    Raises BackendUnavailable (what is missing), BadWeights, OutOfMemory.
    """
    missing = _missing()
    if missing is not None:
        raise BackendUnavailable(
            f"tensorrt cannot be used here: {missing} Run `{install_command('tensorrt')}`, "
            "or choose auto."
        )
    if request.device != "cuda":
        raise BackendUnavailable(
            f"tensorrt runs on NVIDIA GPUs only, not on {request.device}: choose the device cuda, "
            "or choose auto."
        )
    precision = agreed_precision("tensorrt", "cuda", request.precision, precisions("cuda"))
    exported = find_exported(request, "TensorRT")
    if exported.precision == "int8":  # TensorRT has a calibration of its own
        agreed_precision("tensorrt", "cuda", "int8", precisions("cuda"))
    preload_cuda()
    providers = [(_TENSORRT, engine_options(precision, request.cache)), (CUDA, cuda_options())]
    session = open_session(request, exported, providers)
    return OnnxRuntimeBackend(session, exported, "tensorrt", "cuda", precision)


def engine_options(precision: str, cache: Path | None) -> dict[str, Any]:
    """Provider options: one engine for every size, kept below `cache` with its timings."""

    def shape(size: int) -> str:
        return f"{INPUT_NAME}:1x3x{size}x{size}"

    options: dict[str, Any] = {
        "trt_fp16_enable": precision == "fp16",
        "trt_profile_min_shapes": shape(_LEAST),
        "trt_profile_opt_shapes": shape(_USUAL_SIZE),
        "trt_profile_max_shapes": shape(MAX_SIZE),
        # LayerNorm and softmax lose too much in fp16.
        "trt_layer_norm_fp32_fallback": True,
    }
    folder = kept_in(cache, "tensorrt")
    if folder is not None:
        options |= {
            "trt_engine_cache_enable": True,
            "trt_engine_cache_path": folder,
            "trt_timing_cache_enable": True,
            "trt_timing_cache_path": folder,
        }
    return options


def _missing() -> str | None:
    """What keeps TensorRT from running, as a sentence; None if nothing does. Loads the library."""
    if _TENSORRT not in ort.get_available_providers():
        return "this ONNX Runtime has no TensorRT provider (onnxruntime-gpu has)."
    if gpu_name() is None:
        return "no NVIDIA GPU was found, or its driver is not installed."
    try:
        ctypes.CDLL(str(_library()))
    except OSError:
        return f"TensorRT 10 is missing: {_LIBRARY} cannot be loaded."
    return None


def _library() -> Path | str:
    """The library that pip brought, else the name by which the system finds its own.

    Loaded once by its path, it is there for ONNX Runtime too.
    """
    package = find_spec("tensorrt_libs")
    if package is not None and package.submodule_search_locations:
        for folder in package.submodule_search_locations:
            if (Path(folder) / _LIBRARY).is_file():
                return Path(folder) / _LIBRARY
    return _LIBRARY
