"""A model folder that is made here: whole, with its manifest, or not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ..core.disk import hash_file, sweep_parts, whole_folder, write_json, writing
from ..core.errors import OutputExists
from ..core.jobs import Cancel
from ..core.model_folders import only_one
from .layout import require_whole
from .manifest import MANIFEST, describe

_ROOM: Final = "Free some room, or name a folder on another disk."


@contextmanager
def new_model(target: Path, origin: str, cancel: Cancel) -> Iterator[Path]:
    """A folder to fill, which becomes `target` with a manifest when the block ends well.

    What a killed process has left of an earlier try is removed first. origin: for the manifest.
    Raises `OutputExists`, `CannotWrite`, and `BadWeights` if a file is missing at the end.
    """
    _require_new(target)
    with writing(target, _ROOM):
        target.parent.mkdir(parents=True, exist_ok=True)
        with only_one(target.parent, target.name, cancel) as lock:
            _require_new(target)  # another process may just have made it
            sweep_parts(target.parent, target.name)
            with whole_folder(target, owner=target.name) as folder:
                yield folder
                names = require_whole(folder).files
                manifest = describe(folder, names, origin, hash_file, cancel=cancel)
                write_json(folder / MANIFEST, manifest.to_json())
            # From now on whoever gets any lock finds the target there.
            with suppress(OSError):  # Windows removes no open file
                lock.unlink()


def _require_new(target: Path) -> None:
    if target.exists():
        raise OutputExists(f"{target} is already there. Choose another name.")
