"""Bring a weights file the user has into a model folder, checked before it is visible."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Final

from .catalog import Catalog, ModelSpec
from .disk import replace_durably, require_room, writing
from .errors import BackendUnavailable, BadWeights, ChecksumMismatch
from .jobs import Cancel, Progress, never_cancel, no_progress
from .model_folders import only_one, sweep
from .verification import contradiction
from .weights import load_network
from .weights_file import SUFFIXES, refuse_impostor

_BLOCK_BYTES: Final = 1 << 20


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
    with only_one(folder, spec.id, cancel), writing(target):
        handle, name = tempfile.mkstemp(suffix, f".{spec.id}.import-", folder)
        os.close(handle)
        temporary = Path(name)
        try:
            digest = _copy(path, temporary, progress, cancel)
            against = contradiction(catalog, spec, suffix, digest)
            if against:
                raise ChecksumMismatch(
                    f"{path} was not imported as {spec.id}: {against}. Download it again, or run "
                    f"`heliochrome models get {spec.id}`."
                )
            _require_loadable(temporary, path)
            temporary.chmod(0o644)  # mkstemp's 0600 would hide a shared folder's file from others
            replace_durably(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        sweep(folder, spec.id)
    return target, digest


def _copy(source: Path, target: Path, progress: Progress, cancel: Cancel) -> str:
    """Copy and hash in one pass, so that the digest is of the bytes that were written."""
    digest, done, total = hashlib.sha256(), 0, source.stat().st_size
    with source.open("rb") as reader, target.open("wb") as writer:
        while block := reader.read(_BLOCK_BYTES):
            cancel()
            writer.write(block)
            digest.update(block)
            done += len(block)
            progress(done, total)
    return digest.hexdigest()


def _require_loadable(temporary: Path, original: Path) -> None:
    """Refuse what does not load as DDColor, if torch is there to try it."""
    if temporary.suffix == ".onnx":
        return
    try:
        load_network(temporary)
    except BackendUnavailable:  # no torch: the digest is all that can be checked
        return
    except BadWeights as error:
        raise BadWeights(str(error).replace(str(temporary), str(original))) from error
