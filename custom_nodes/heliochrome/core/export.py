"""Write the folded network as ONNX, with dynamic height and width."""

from __future__ import annotations

import json
import logging
import shlex
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

from .disk import is_same_file, whole_file, writing
from .errors import BackendUnavailable, OutputExists
from .onnx_metadata import NETWORK_KEY, SOURCE_KEY
from .presets import MAX_SIZE, SIZE_STEP

INPUT_NAME: Final = "gray_rgb"
OUTPUT_NAME: Final = "ab"
INT8_SUFFIX: Final = ".int8.onnx"  # of the quantised model beside a checkpoint
OPSET: Final = 18


def export_command(weights: Path) -> str:
    """The command line that makes the .onnx file beside `weights`."""
    return f"heliochrome export {shlex.quote(str(weights))}"


def quantize_command(weights: Path) -> str:
    """The command line that makes the int8 model beside `weights`."""
    return f"heliochrome quantize {shlex.quote(str(weights))} PHOTO..."


def export_onnx(weights: Path, target: Path, sha256: str, *, overwrite: bool = False) -> Path:
    """Export a checkpoint to one ONNX file: (1, 3, 32h, 32w) float32 -> (1, 2, 32h, 32w).

    sha256: of `weights`, kept in the file, so that an export is never taken for that of
    another checkpoint. The file appears whole or not at all. Raises BadWeights, OutputExists,
    BackendUnavailable (what to install).
    """
    if is_same_file(weights, target):
        raise OutputExists(
            f"{target} is the checkpoint itself, which is never overwritten: choose another name."
        )
    if target.exists() and not overwrite:
        raise OutputExists(f"{target} is already there: pass --overwrite to replace it.")
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
        import torch
    except ModuleNotFoundError as error:
        raise BackendUnavailable(
            f'exporting to ONNX needs {error.name}: run `pip install "heliochrome[torch]"`.'
        ) from error
    from ..arch import FoldedDDColor
    from .weights import load_network

    net = FoldedDDColor(load_network(weights))
    most = MAX_SIZE // SIZE_STEP
    height, width = torch.export.Dim("h", min=1, max=most), torch.export.Dim("w", min=1, max=most)
    # Two different sides that are no special case, so that nothing is specialised to them.
    example = torch.zeros(1, 3, 5 * SIZE_STEP, 7 * SIZE_STEP)
    with _quiet():
        program = torch.onnx.export(
            net,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            dynamic_shapes=({2: SIZE_STEP * height, 3: SIZE_STEP * width},),
            external_data=False,
            verbose=False,
        )
    assert program is not None
    program.model.metadata_props[SOURCE_KEY] = sha256
    program.model.metadata_props[NETWORK_KEY] = json.dumps(asdict(net.config))
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target, overwrite=overwrite) as file:
            program.save(file.name, external_data=False)
    return target


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter talks about its own inner workings; a failure still raises."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
