"""The .onnx file that a runtime reads: beside the weights, in the cache, or made on the spot."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from filelock import FileLock

from ..disk import CannotWrite
from ..errors import BackendUnavailable, BadWeights
from ..export import INPUT_NAME, INT8_SUFFIX, export_command, export_onnx, quantize_command
from ..onnx_metadata import NETWORK_KEY, PRECISION_KEY, SOURCE_KEY, read_metadata
from ..weights_file import ONNX_SUFFIX
from .base import AUTO, Request, require_memory
from .memory_table import export_bytes

_log = logging.getLogger("heliochrome")

_FOLDER: Final = "exports"  # in the cache; files are named by the digest of their checkpoint


@dataclass(frozen=True)
class Exported:
    """An ONNX file. network: its widths and depths as JSON, or None in an old export.

    source_sha256: of the checkpoint it was made from; "unknown" in a file of another tool.
    """

    path: Path
    source_sha256: str
    precision: str
    network: str | None

    @classmethod
    def read(cls, path: Path) -> Exported:
        """Raises BadWeights if this is no whole ONNX file."""
        notes = read_metadata(path)
        return cls(
            path,
            notes.get(SOURCE_KEY, "unknown"),
            notes.get(PRECISION_KEY, "f32"),
            notes.get(NETWORK_KEY),
        )

    @property
    def weight_bytes(self) -> int:
        return self.path.stat().st_size

    @property
    def f32_bytes(self) -> int:
        """What the weights would take in float32, which is what memory was measured with."""
        return self.weight_bytes * (4 if self.precision == "int8" else 1)

    def require_input(self, names: Sequence[str]) -> None:
        """Raise BadWeights unless a runtime finds these inputs: ours, and no other."""
        if list(names) != [INPUT_NAME]:
            raise BadWeights(
                f"{self.path} is not a model that Heliochrome exported (input {INPUT_NAME!r} "
                f"expected, got {list(names)}): export it again."
            )


def find_exported(request: Request, name: str) -> Exported:
    """The ONNX file for `request`, made now if PyTorch is here to do so.

    name: the runtime, for the messages. Raises BackendUnavailable (with the command that makes
    the file), BadWeights.
    """
    weights = request.weights
    if weights.suffix.lower() == ONNX_SUFFIX:
        found = Exported.read(weights)
        if (request.precision == "int8") != (found.precision == "int8") and (
            request.precision != AUTO
        ):
            raise BackendUnavailable(
                f"{weights.name} holds {found.precision} numbers, not {request.precision}: "
                "choose the precision auto, or another file."
            )
        return found
    if request.precision == "int8":
        return _quantised(request)
    beside = weights.with_suffix(ONNX_SUFFIX)
    if request.sha256 is None or request.cache is None:
        if beside.is_file():
            found = Exported.read(beside)
            if request.sha256 in (None, found.source_sha256):
                return found
    else:
        whole = _whole(beside, request.sha256)
        if whole is not None:
            return whole
        return _from_cache(weights, request.sha256, request.cache, name)
    if beside.is_file():
        raise BackendUnavailable(
            f"{beside} was exported from another file than {weights.name}: "
            f"run `{export_command(weights)} --overwrite`."
        )
    raise _not_there(name, weights)


def _quantised(request: Request) -> Exported:
    beside = request.weights.with_suffix(INT8_SUFFIX)
    command = quantize_command(request.weights)
    if not beside.is_file():
        raise BackendUnavailable(
            f"precision int8 needs a quantised model, and {beside} does not exist: "
            f"run `{command}` once."
        )
    found = Exported.read(beside)
    if request.sha256 not in (None, found.source_sha256):
        raise BackendUnavailable(
            f"{beside} was quantised from another file than {request.weights.name}: "
            f"run `{command} --overwrite`."
        )
    return found


def _from_cache(weights: Path, sha256: str, cache: Path, name: str) -> Exported:
    target = cache / _FOLDER / f"{sha256}{ONNX_SUFFIX}"
    found = _whole(target, sha256)
    if found is not None:
        return found
    if not can_export():
        raise _not_there(name, weights)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            found = _whole(target, sha256)  # another process may have made it meanwhile
            if found is not None:
                return found
            needed = export_bytes(weights.stat().st_size)
            require_memory(needed, f"export {weights.name} to ONNX")
            _log.info("exporting %s to ONNX once, about half a minute: %s", weights.name, target)
            export_onnx(weights, target, sha256, overwrite=True)
    except (CannotWrite, OSError) as error:
        raise BackendUnavailable(
            f"{name} needs an exported model, which cannot be kept: {error} Let "
            f"HELIOCHROME_CACHE name a folder of yours, or run `{export_command(weights)}`."
        ) from error
    return Exported.read(target)


def _whole(target: Path, sha256: str) -> Exported | None:
    if not target.is_file():
        return None
    try:
        found = Exported.read(target)
    except BadWeights as error:
        _log.warning("%s It is not used.", error)
        return None
    return found if found.source_sha256 == sha256 else None


def can_export() -> bool:
    """Whether what makes ONNX files is installed; imports none of it."""
    return all(find_spec(name) for name in ("torch", "onnx", "onnxscript"))


def _not_there(name: str, weights: Path) -> BackendUnavailable:
    return BackendUnavailable(
        f"{name} needs an exported model, and {weights.with_suffix(ONNX_SUFFIX)} does not exist: "
        f"run `{export_command(weights)}` once where PyTorch is installed, or choose auto."
    )
