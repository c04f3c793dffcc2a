"""An int8 model from an exported network, calibrated on the user's own photographs."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from .backends import open_backend
from .backends.base import Backend, Request
from .backends.exported import Exported, find_exported
from .disk import whole_file, writing
from .errors import BackendUnavailable, BadSetting, OutputExists
from .export import INPUT_NAME
from .extent import Extent
from .jobs import Cancel, Progress, never_cancel, no_progress
from .lab import FloatArray, grey
from .onnx_metadata import PRECISION_KEY
from .photo import read_photo
from .presets import DEFAULT_PRESET, SIZE_STEP
from .shrink import lightness_at

FEWEST_PHOTOS: Final = 2  # one to calibrate on, one to judge by
_HELD_OUT: Final = 4  # every fourth photograph is kept for judging
_RUNS: Final = 2


@dataclass(frozen=True)
class Quantised:
    """The file, and how far it is from float32 on photographs that it was not calibrated on.

    mean_ab, max_ab: difference of a* and b*. seconds: of one forward pass on `device`, int8
    and float32, measured in turns.
    """

    path: Path
    calibrated_on: tuple[Path, ...]
    judged_on: tuple[Path, ...]
    mean_ab: float
    max_ab: float
    seconds: float
    f32_seconds: float


def quantize(
    weights: Path,
    photos: Sequence[Path],
    target: Path,
    *,
    sha256: str,
    cache: Path | None = None,
    size: int = DEFAULT_PRESET.size,
    overwrite: bool = False,
    progress: Progress = no_progress,
    cancel: Cancel = never_cancel,
) -> Quantised:
    """Post-training quantisation (nncf) of a checkpoint or its export to one int8 ONNX file.

    photos: like those to be coloured; every fourth is held back to judge the result.
    sha256, cache: see `Request`. size: long side of what the network sees. The file appears
    whole or not at all, and says what it was made from. Raises BadSetting (too few
    photographs), BadImage, OutputExists, BackendUnavailable (what to install), BadWeights.
    """
    if target.exists() and not overwrite:
        raise OutputExists(f"{target} is already there: pass --overwrite to replace it.")
    if len(photos) < FEWEST_PHOTOS:
        raise BadSetting(
            f"int8 needs at least {FEWEST_PHOTOS} photographs to calibrate on and to judge by, "
            f"got {len(photos)}: name more of them, 30 or more are better."
        )
    exported = find_exported(Request(weights, "cpu", "f32", sha256, cache), "quantising")
    judged_on = tuple(photos[_HELD_OUT - 1 :: _HELD_OUT]) or (photos[-1],)
    calibrated_on = tuple(photo for photo in photos if photo not in judged_on)
    if not calibrated_on:
        raise BadSetting("the photographs to calibrate on must not all be the same file.")
    inputs = {}
    for done, photo in enumerate(photos):
        progress(done, len(photos) + 1)
        inputs[photo] = _network_input(photo, size, cancel)
    model = _quantised(exported, [inputs[photo] for photo in calibrated_on])
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target, overwrite=overwrite) as file:
            file.write(model)
    judged = [inputs[photo] for photo in judged_on]
    exact, rough = (
        open_backend(path, "openvino", "cpu", precision=precision)
        for path, precision in ((exported.path, "f32"), (target, "int8"))
    )
    errors = [np.abs(rough.predict_ab(x) - exact.predict_ab(x)) for x in judged]
    seconds, f32_seconds = _seconds(rough, exact, judged[0])
    progress(len(photos) + 1, len(photos) + 1)
    return Quantised(
        target,
        calibrated_on,
        judged_on,
        float(np.mean([error.mean() for error in errors])),
        float(max(error.max() for error in errors)),
        seconds,
        f32_seconds,
    )


def _network_input(path: Path, size: int, cancel: Cancel) -> FloatArray:
    """(1, 3, h, w) float32 sRGB grey in [0, 1], as the network sees the photograph."""
    photo = read_photo(path).pixels
    extent = Extent.of(photo.shape).fit(size, SIZE_STEP)
    seen = grey(lightness_at(photo, extent, cancel=cancel))  # (h, w)
    return np.repeat(seen[None, None], 3, axis=1)


def _quantised(exported: Exported, inputs: Sequence[FloatArray]) -> bytes:
    """The int8 model as an ONNX file's bytes."""
    try:
        with _quiet():
            import nncf
            import onnx
    except ModuleNotFoundError as error:
        raise BackendUnavailable(
            f'quantising needs {error.name}: run `pip install "heliochrome[int8]"`.'
        ) from error
    if exported.precision != "f32":
        raise BadSetting(f"{exported.path} is quantised already: name the checkpoint.")
    network = onnx.load(exported.path)
    with _quiet():
        model: Any = nncf.quantize(
            network,
            nncf.Dataset(list(inputs), lambda x: {INPUT_NAME: x}),
            subset_size=len(inputs),
            # Attention and LayerNorm lose most by int8 and take little of the time.
            model_type=nncf.ModelType.TRANSFORMER,
        )
    notes = {entry.key: entry.value for entry in network.metadata_props}
    onnx.helper.set_model_props(model, {**notes, PRECISION_KEY: "int8"})
    return bytes(model.SerializeToString())


def _seconds(rough: Backend, exact: Backend, x: FloatArray) -> tuple[float, float]:
    best = [float("inf"), float("inf")]
    for _ in range(_RUNS):
        for i, backend in enumerate((rough, exact)):
            start = time.perf_counter()
            backend.predict_ab(x)
            best[i] = min(best[i], time.perf_counter() - start)
    return best[0], best[1]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """nncf draws its progress on stdout, which is for results."""
    logger = logging.getLogger("nncf")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        logger.setLevel(level)
