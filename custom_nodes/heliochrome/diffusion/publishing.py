"""A model folder that is made here: whole, with its manifest, or not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..core.disk import hash_file, sweep_parts, whole_folder, write_json, writing
from ..core.errors import OutputExists
from ..core.jobs import Cancel
from ..core.model_folders import only_one
from .layout import require_whole
from .manifest import MANIFEST, describe


@contextmanager
def new_model(target: Path, origin: str, cancel: Cancel) -> Iterator[Path]:
    """A folder to fill, which becomes `target` with a manifest when the block ends well.

    What a killed process has left of an earlier try is removed first. origin: for the manifest.
    Raises `OutputExists`, `CannotWrite`, and `BadWeights` if a file is missing at the end.
    """
    if target.exists():
        raise OutputExists(f"{target} is already there. Choose another name.")
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with only_one(target.parent, target.name, cancel):
            sweep_parts(target.parent, target.name)
            with whole_folder(target, owner=target.name) as folder:
                yield folder
                names = require_whole(folder).files
                manifest = describe(folder, names, origin, hash_file, cancel=cancel)
                write_json(folder / MANIFEST, manifest.to_json())
