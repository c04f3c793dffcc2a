"""Bring a weights file the user has into a model folder, checked before it is visible."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO

from .catalog import Catalog, ModelSpec
from .disk import read_blocks, require_room, whole_file, writing
from .errors import BackendUnavailable, BadWeights, ChecksumMismatch
from .jobs import Cancel, Progress, never_cancel, no_progress
from .model_folders import only_one, sweep
from .verification import contradiction
from .weights import load_network
from .weights_file import ONNX_SUFFIX, SUFFIXES, refuse_impostor


def copy_in(
    path: Path,
    spec: ModelSpec,
    catalog: Catalog,
    folder: Path,
    progress: Progress = no_progress,
    cancel: Cancel = never_cancel,
) -> tuple[Path, str]:
    """Copy `path` to `folder`/<model id><suffix>; return that file and its SHA-256 (hex).

    `progress` counts bytes. Raises `BadWeights`, `ChecksumMismatch` or `CannotWrite`, and
    what `cancel` raises; then it leaves nothing.
    """
    if not path.is_file():
        raise BadWeights(f"{path} is not a file. Give the path of the weights.")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise BadWeights(
            f"{path} does not end in {', '.join(SUFFIXES)}. Give the file its real ending."
        )
    refuse_impostor(path, str(path))
    require_room(folder, path.stat().st_size)
    target = folder / f"{spec.id}{suffix}"
    with only_one(folder, spec.id, cancel):
        with writing(target), whole_file(target, overwrite=True, owner=spec.id) as file:
            digest = _copy(path, file, progress, cancel)
            against = contradiction(catalog, spec, suffix, digest)
            if against:
                raise ChecksumMismatch(
                    f"{path} was not imported as {spec.id}: {against}. Download it again, or run "
                    f"`heliochrome models get {spec.id}`."
                )
            _require_loadable(Path(file.name), path)
        sweep(folder, spec.id)
    return target, digest


def _copy(source: Path, target: BinaryIO, progress: Progress, cancel: Cancel) -> str:
    """Copy and hash in one pass, so that the digest is of the bytes that were written."""
    digest = hashlib.sha256()
    for block in read_blocks(source, progress, cancel):
        target.write(block)
        digest.update(block)
    target.flush()
    return digest.hexdigest()


def _require_loadable(temporary: Path, original: Path) -> None:
    """Refuse what does not load as DDColor, if torch is there to try it."""
    if temporary.suffix == ONNX_SUFFIX:
        return
    try:
        load_network(temporary)
    except BackendUnavailable:  # no torch: the digest is all that can be checked
        return
    except BadWeights as error:
        raise BadWeights(str(error).replace(str(temporary), str(original))) from error
