"""An int8 model from an exported network, calibrated on the user's own photographs."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np

from .backends.base import Backend, Request
from .backends.exported import Exported, find_exported
from .backends.installed import backend_module, install_command, usable_backends
from .child import in_child, muted
from .disk import is_same_file, whole_file, writing
from .errors import BackendUnavailable, BadSetting, OutputExists
from .export import INPUT_NAME, INT8_SUFFIX
from .extent import Extent
from .jobs import Cancel, Progress, never_cancel, no_progress, part
from .lab import FloatArray, grey
from .onnx_metadata import PRECISION_KEY
from .photo import read_photo
from .presets import DEFAULT_PRESET, SIZE_STEP
from .shrink import lightness_at
from .weights_file import ONNX_SUFFIX

FEWEST_PHOTOS: Final = 2  # one to calibrate on, one to judge by
_HELD_OUT: Final = 4  # every fourth photograph is kept for judging
_RUNS: Final = 2
_JUDGE: Final = "openvino"  # both networks run on it, and the int8 extra brings it
_ROUNDS: Final = 2  # nncf 3 looks at the photographs to smooth, then to find the ranges
# Where reading the photographs and calibrating end, in the whole; roughly their times.
_READ, _CALIBRATED = 0.05, 0.95


@dataclass(frozen=True)
class Plan:
    """What will be made from what; checked, and nothing is written yet."""

    exported: Exported
    target: Path
    overwrite: bool
    calibrated_on: tuple[Path, ...]
    judged_on: tuple[Path, ...]


@dataclass(frozen=True)
class Quantised:
    """The file, and how far it is from float32 on photographs that it was not calibrated on.

    mean_ab, max_ab: difference of a* and b*. seconds: of one forward pass on the processor,
    int8 and float32, measured in turns.
    """

    path: Path
    calibrated_on: tuple[Path, ...]
    judged_on: tuple[Path, ...]
    mean_ab: float
    max_ab: float
    seconds: float
    f32_seconds: float


def plan(
    weights: Path,
    photos: Sequence[Path],
    target: Path,
    *,
    sha256: str,
    cache: Path | None = None,
    overwrite: bool = False,
) -> Plan:
    """Check everything that can be checked first; exports the checkpoint if that was not done.

    photos: like those to be coloured; every fourth is held back to judge the result. sha256,
    cache: see `Request`. Raises BadSetting (too few photographs, a target that is no .onnx),
    OutputExists (also where the target is one of the inputs, under whatever name),
    BackendUnavailable (what to install), BadWeights.
    """
    target = Path(os.path.realpath(target)) if overwrite else target
    _refuse_inputs(target, [weights, weights.with_suffix(ONNX_SUFFIX), *photos])
    if target.suffix.lower() != ONNX_SUFFIX:
        raise BadSetting(
            f"an int8 model is an ONNX file, and {target} does not end in {ONNX_SUFFIX}: "
            f"name it {target.stem}{INT8_SUFFIX}."
        )
    if os.path.lexists(target) and not (overwrite and target.is_file()):
        raise OutputExists(f"{target} is already there: pass --overwrite to replace a file.")
    if len(photos) < FEWEST_PHOTOS:
        raise BadSetting(
            f"int8 needs at least {FEWEST_PHOTOS} photographs to calibrate on and to judge by, "
            f"got {len(photos)}: name more of them, 30 or more are better."
        )
    judged_on = tuple(photos[_HELD_OUT - 1 :: _HELD_OUT]) or (photos[-1],)
    calibrated_on = tuple(photo for photo in photos if photo not in judged_on)
    if not calibrated_on:
        raise BadSetting("the photographs to calibrate on must not all be the same file.")
    require_installed("nncf", "onnx")
    if _JUDGE not in usable_backends():
        raise BackendUnavailable(f"quantising needs {_JUDGE}: run `{install_command(_JUDGE)}`.")
    exported = find_exported(Request(weights, "cpu", "f32", sha256, cache), "quantising")
    if exported.precision != "f32":
        raise BadSetting(f"{exported.path} is quantised already: name the checkpoint.")
    _refuse_inputs(target, [exported.path])
    return Plan(exported, target, overwrite, calibrated_on, judged_on)


def require_installed(*modules: str) -> None:
    """Raise BackendUnavailable unless these parts of the int8 extra are there."""
    for module in modules:
        if find_spec(module) is None:
            raise BackendUnavailable(
                f'quantising needs {module}: run `pip install "heliochrome[int8]"`.'
            )


def quantize(
    planned: Plan,
    size: int = DEFAULT_PRESET.size,
    *,
    progress: Progress = no_progress,
    cancel: Cancel = never_cancel,
) -> Quantised:
    """Post-training quantisation (nncf) of a network to one int8 ONNX file, and its judgement.

    size: long side of what the network sees. The file appears whole and judged or not at all,
    and says what it was made from. `cancel` is asked several times a second while nncf works.
    Raises BadImage, OutOfMemory, BackendUnavailable, OutputExists, CannotWrite.
    """
    target, photos = planned.target, (*planned.calibrated_on, *planned.judged_on)
    reading, judging = part(progress, 0, _READ), part(progress, _CALIBRATED, 1)
    with contextlib.closing(_judge(planned.exported.path, "f32")) as exact:
        inputs = {}
        for done, photo in enumerate(photos):
            reading(done, len(photos))
            inputs[photo] = _network_input(photo, size, cancel)
        model = in_child(
            "nncf",
            _quantised,
            planned.exported.path,
            [inputs[photo] for photo in planned.calibrated_on],
            progress=part(progress, _READ, _CALIBRATED),
            cancel=cancel,
        )
        judged = [inputs[photo] for photo in planned.judged_on]
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(target, overwrite=planned.overwrite) as file:
                file.write(model)
                file.flush()
                with contextlib.closing(_judge(Path(file.name), "int8")) as rough:
                    errors = []
                    for done, x in enumerate(judged):
                        judging(done, len(judged) + 1)
                        cancel()
                        errors.append(np.abs(rough.predict_ab(x) - exact.predict_ab(x)))
                    judging(len(judged), len(judged) + 1)
                    seconds, f32_seconds = _seconds(rough, exact, judged[0], cancel)
                cancel()
    judging(1, 1)
    return Quantised(
        target,
        planned.calibrated_on,
        planned.judged_on,
        float(np.mean([error.mean() for error in errors])),
        float(max(error.max() for error in errors)),
        seconds,
        f32_seconds,
    )


def _refuse_inputs(target: Path, inputs: Sequence[Path]) -> None:
    """Raise OutputExists if `target` is one of them, also through links."""
    for path in inputs:
        if is_same_file(path, target):
            raise OutputExists(
                f"{target} is {path}, which is read here and never overwritten. "
                "Choose another name."
            )


def _judge(path: Path, precision: str) -> Backend:
    """Just this runtime in this precision: `open_backend` may choose another for want of memory."""
    backend: Backend = backend_module(_JUDGE).load(Request(path, "cpu", precision))
    return backend


def _network_input(path: Path, size: int, cancel: Cancel) -> FloatArray:
    """(1, 3, h, w) float32 sRGB grey in [0, 1], as the network sees the photograph."""
    cancel()
    photo = read_photo(path).pixels
    extent = Extent.of(photo.shape).fit(size, SIZE_STEP)
    seen = grey(lightness_at(photo, extent, cancel=cancel))  # (h, w)
    return np.repeat(seen[None, None], 3, axis=1)


def _quantised(path: Path, inputs: Sequence[FloatArray], progress: Progress) -> bytes:
    """The int8 model as an ONNX file's bytes. Runs in a process of its own."""
    with muted("nncf"):
        import nncf
        import onnx

        network = onnx.load(path)
        total, seen = _ROUNDS * len(inputs), 0

        def shown(x: FloatArray) -> dict[str, FloatArray]:
            nonlocal seen
            progress(min(seen, total), total)
            seen += 1
            return {INPUT_NAME: x}

        model: Any = nncf.quantize(
            network,
            nncf.Dataset(list(inputs), shown),
            subset_size=len(inputs),
            # Attention and LayerNorm lose most by int8 and take little of the time.
            model_type=nncf.ModelType.TRANSFORMER,
        )
    progress(total, total)
    notes = {entry.key: entry.value for entry in network.metadata_props}
    onnx.helper.set_model_props(model, {**notes, PRECISION_KEY: "int8"})
    return bytes(model.SerializeToString())


def _seconds(rough: Backend, exact: Backend, x: FloatArray, cancel: Cancel) -> tuple[float, float]:
    best = [float("inf"), float("inf")]
    for _ in range(_RUNS):
        for i, backend in enumerate((rough, exact)):
            cancel()
            start = time.perf_counter()
            backend.predict_ab(x)
            best[i] = min(best[i], time.perf_counter() - start)
    return best[0], best[1]
