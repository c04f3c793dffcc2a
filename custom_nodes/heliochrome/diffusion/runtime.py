"""OpenVINO GenAI's pipelines for one model: opened, sharing weights, on one device."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..core.backends.base import (
    AUTO,
    agreed_precision,
    kept_in,
)
from ..core.cores import core_limit
from ..core.errors import BackendUnavailable, BadSetting, BadWeights, HeliochromeError, OutOfMemory
from ..core.full_memory import says_out_of_memory
from .lora import Lora, adapter_config, open_adapter
from .model import DiffusionModel
from .request import MODES, Mode

_log = logging.getLogger("heliochrome")

DEVICES: Final = ("CPU", "GPU", "NPU")
# What pybind11 makes of C++ exceptions; OpenVINO's own come as RuntimeError.
RUNTIME_ERRORS: Final = (RuntimeError, MemoryError, ValueError, IndexError, TypeError)
_CACHE: Final = "openvino"  # below the cache folder, as the colouring backend's
_GPU_PRECISIONS: Final = {"f32": "f32", "fp16": "f16"}


@dataclass(frozen=True)
class Opening:
    """What to open. precision: "auto", or what the device can; int8 is in the weights.
    cache: folder for compiled models; None keeps none."""

    model: DiffusionModel
    device: str
    precision: str = AUTO
    cache: Path | None = None
    loras: tuple[Lora, ...] = ()


@dataclass(frozen=True)
class Pipelines:
    """A pipeline for each mode of the model, on one set of weights: only one may run at a time.

    arguments: what each call must be given beside the request.
    """

    by_mode: Mapping[Mode, Any]
    arguments: Mapping[str, Any]


def require_runtime() -> None:
    """Raises BackendUnavailable if OpenVINO GenAI is not installed, or cannot be loaded."""
    try:
        import openvino_genai  # noqa: F401
    except ModuleNotFoundError as error:
        raise BackendUnavailable(
            "OpenVINO GenAI is not installed, which runs Stable Diffusion: run "
            "`pip install 'heliochrome[diffusion]'`."
        ) from error
    except ImportError as error:
        raise BackendUnavailable(
            f"OpenVINO GenAI cannot be loaded ({reason(error)}): openvino, openvino-genai and "
            "openvino-tokenizers must be of one version. Run "
            "`pip install --upgrade 'heliochrome[diffusion]'`."
        ) from error


def require_device(device: str) -> str:
    """One of DEVICES that is here. Raises BadSetting, BackendUnavailable."""
    import openvino

    if device not in DEVICES:
        raise BadSetting(f"device must be one of {', '.join(DEVICES)}, got {device!r}.")
    here = {name.partition(".")[0] for name in openvino.Core().available_devices}
    if device not in here:
        raise BackendUnavailable(
            f"OpenVINO finds no {device} on this machine: choose {' or '.join(sorted(here))}, or "
            "install the device's driver."
        )
    return device


def open_pipelines(opening: Opening) -> Pipelines:
    """Compile the model. Raises BadWeights, OutOfMemory, BackendUnavailable, ModelNotFound."""
    model = opening.model
    options = _options(opening)
    arguments = _adapters(opening)
    folder = kept_in(opening.cache, _CACHE)
    if folder is not None:
        try:
            return _opened(opening, {**options, "CACHE_DIR": folder}, arguments)
        except RUNTIME_ERRORS as error:
            if says_out_of_memory(error):
                raise _no_room(model) from error
            _log.warning("%s opens without the cache %s: %s", model.name, folder, error)
    try:
        return _opened(opening, options, arguments)
    except RUNTIME_ERRORS as error:
        if says_out_of_memory(error):
            raise _no_room(model) from error
        if opening.device != "CPU":
            raise BackendUnavailable(
                f"{opening.device} cannot run {model.name} ({reason(error)}): choose CPU."
            ) from error
        if opening.loras:
            raise BadWeights(
                f"{model.name} cannot be opened with {_files(opening)} ({reason(error)}): the LoRA "
                "does not suit a model of this kind. Leave it out."
            ) from error
        raise not_opened(str(model.folder), error) from error


def reason(error: BaseException) -> str:
    """What a runtime's error says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[-1][:200]


def _adapters(opening: Opening) -> dict[str, Any]:
    """What the runtime must be given at opening and with each picture, for the LoRAs."""
    if not opening.loras:
        return {}
    try:
        return {"adapters": adapter_config([open_adapter(lora) for lora in opening.loras])}
    except RUNTIME_ERRORS as error:
        raise not_opened(_files(opening), error) from error


def _files(opening: Opening) -> str:
    return ", ".join(str(lora.path) for lora in opening.loras)


def _opened(
    opening: Opening, options: Mapping[str, Any], arguments: Mapping[str, Any]
) -> Pipelines:
    import openvino_genai as genai

    model = opening.model
    options = {**options, **arguments}
    classes: dict[Mode, Any] = {
        "text-to-image": genai.Text2ImagePipeline,
        "image-to-image": genai.Image2ImagePipeline,
        "inpaint": genai.InpaintingPipeline,
    }
    # The inpainting pipeline has every part; the others are made of it and share them.
    whole = next(mode for mode in reversed(MODES) if mode in model.modes)
    if opening.device == "NPU":  # it takes no sizes that are open
        first = classes[whole](model.folder)
        first.reshape(1, model.native.height, model.native.width, model.default_guidance)
        first.compile(opening.device, **options)
    else:
        first = classes[whole](model.folder, opening.device, **options)
    by_mode = {mode: first if mode == whole else classes[mode](first) for mode in model.modes}
    return Pipelines(by_mode, arguments)


def _options(opening: Opening) -> dict[str, Any]:
    options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if opening.device == "CPU":
        from ..core.backends.openvino import precisions

        able = [name for name in precisions("cpu") if name != "int8"]
        asked = agreed_precision("Stable Diffusion", "CPU", opening.precision, able)
        options |= {"INFERENCE_PRECISION_HINT": asked, "NUM_STREAMS": 1}
        if (cores := core_limit()) is not None:
            options["INFERENCE_NUM_THREADS"] = cores
    elif opening.precision != AUTO:
        able = list(_GPU_PRECISIONS)
        asked = agreed_precision("Stable Diffusion", opening.device, opening.precision, able)
        options["INFERENCE_PRECISION_HINT"] = _GPU_PRECISIONS[asked]
    return options


def _no_room(model: DiffusionModel) -> OutOfMemory:
    return OutOfMemory(
        f"not enough memory to load {model.name}: close other programs, or use its int8 version "
        "(`heliochrome sd compress`)."
    )


def not_opened(what: str, error: BaseException) -> HeliochromeError:
    return BadWeights(
        f"{what} cannot be opened by OpenVINO ({reason(error)}): get or convert it again."
    )
