"""A model folder with int8 weights: a quarter of the size, the arithmetic unchanged."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..core.child import in_child, muted
from ..core.errors import BadSetting
from ..core.jobs import Cancel, Progress, never_cancel, no_progress, part
from ..core.quantize import require_installed
from .component import Feed, first_outputs, read_component
from .layout import WEIGHTS, require_whole
from .model import MODEL, DiffusionModel, read_model
from .publishing import new_model

_NOTE: Final = ["nncf", "weight_compression"]  # what nncf leaves in a graph
_STEPS: Final = (901, 501, 101)  # time steps at which the UNet is judged: early, middle, late
_LATENT: Final = 64  # height and width in latents at which it is judged, where they are open
_JUDGED: Final = 0.9  # where compressing ends and judging begins, in the whole


@dataclass(frozen=True)
class Compressed:
    """bytes_before, bytes_after: of all files. unet_difference: the mean difference of the UNet's
    output from the original's, as a part of the original's mean size; on noise."""

    folder: Path
    bytes_before: int
    bytes_after: int
    unet_difference: float


def compress(
    source: Path,
    target: Path,
    *,
    progress: Progress = no_progress,
    cancel: Cancel = never_cancel,
) -> Compressed:
    """Write the model in `source` with int8 weights (nncf, asymmetric, for each channel) to the
    new folder `target`, which appears whole or not at all.

    `cancel` is asked several times a second while nncf works. Raises `BadWeights`,
    `ModelNotFound`, `BadSetting` (int8 already), `BackendUnavailable`, `OutputExists`,
    `CannotWrite`, `OutOfMemory`, and what `cancel` raises.
    """
    require_installed("nncf")
    model = read_model(source)
    names = [name for name in require_whole(source).files if (source / name).is_file()]
    networks = [name for name in names if name.endswith(f"/{MODEL}")]
    unet = f"unet/{MODEL}"
    if read_component(source / unet).has_rt_info(_NOTE):
        raise BadSetting(f"{source} has int8 weights already. Name the original.")
    with new_model(target, f"int8 of {source.resolve().name}", cancel) as folder:
        for name in names:
            cancel()
            (folder / name).parent.mkdir(exist_ok=True)
            if Path(name).name not in (MODEL, WEIGHTS):
                shutil.copyfile(source / name, folder / name)
        in_child(
            "nncf",
            _compress,
            [(source / name, folder / name) for name in networks],
            progress=part(progress, 0, _JUDGED),
            cancel=cancel,
        )
        feeds = _feeds(model, read_component(source / unet))
        before, after = (first_outputs(path / unet, feeds, cancel) for path in (source, folder))
    gap = np.mean([np.abs(b - a).mean() for a, b in zip(before, after, strict=True)])
    progress(1, 1)
    return Compressed(
        target,
        sum((source / name).stat().st_size for name in names),
        sum((target / name).stat().st_size for name in names),
        float(gap / np.mean([np.abs(a).mean() for a in before])),
    )


def _compress(networks: Sequence[tuple[Path, Path]], progress: Progress) -> None:
    """Read and write each. Runs in a process of its own."""
    sizes = [source.with_name(WEIGHTS).stat().st_size for source, _ in networks]
    with muted("nncf"):
        import nncf
        import openvino

        for at, (source, target) in enumerate(networks):
            progress(sum(sizes[:at]), sum(sizes))
            model = openvino.Core().read_model(str(source))
            made = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_ASYM)
            openvino.save_model(made, str(target), compress_to_fp16=False)
    progress(sum(sizes), sum(sizes))


def _feeds(model: DiffusionModel, unet: Any) -> list[Feed]:
    """Noise for every input of the UNet, at several time steps."""
    draws = np.random.default_rng(0)
    feeds: list[Feed] = []
    for step in _STEPS:
        feed: dict[str, NDArray[Any]] = {}
        for port in unet.inputs:
            name, shape = port.get_any_name(), port.get_partial_shape()
            sizes = [_open_size(model, name, axis) for axis in range(len(shape))]
            for axis, size in enumerate(shape):
                if size.is_static:
                    sizes[axis] = size.get_length()
            if name == "timestep":
                feed[name] = np.full(sizes, step, port.get_element_type().to_dtype())
            else:
                feed[name] = draws.standard_normal(sizes, np.float32)
        feeds.append(feed)
    return feeds


def _open_size(model: DiffusionModel, name: str, axis: int) -> int:
    """What to take where the graph takes any size."""
    if name == "sample" and axis > 1:
        return _LATENT
    return model.max_tokens if name == "encoder_hidden_states" and axis == 1 else 1
