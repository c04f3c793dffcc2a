"""From a model's name to a loaded network, and the digest that provenance records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .backends import AUTO, Backend, open_chosen
from .errors import ChecksumMismatch, ModelNotFound
from .export import INT8_SUFFIX
from .notices import Notice
from .paths import from_user
from .store import ModelStore
from .weights_file import ONNX_SUFFIX


@dataclass(frozen=True)
class LoadedModel:
    """name: catalogue id, or the file's name. sha256: of the weights file, hex.

    official: the digest is the published one of that catalogue id. choice: one sentence on
    which backend was chosen and why. notices: what was changed for the user while loading.
    """

    name: str
    path: Path
    sha256: str
    official: bool
    backend: Backend
    choice: str = ""
    notices: tuple[Notice, ...] = ()


def open_model(
    store: ModelStore,
    name: str,
    backend: str = AUTO,
    device: str = AUTO,
    precision: str = AUTO,
) -> LoadedModel:
    """Open a catalogue id or a weights file. Never downloads.

    Raises ModelNotFound, ChecksumMismatch (the file is not the one it was, or not the
    official one), BadWeights, BackendUnavailable, OutOfMemory.
    """
    if name in store.catalog.models:
        path = store.find(name)
        verdict = store.check(name, path)
        if not verdict.ok:
            raise ChecksumMismatch(verdict.text)
        sha256, official = verdict.sha256, verdict.official
    else:
        path = from_user(name)
        if not path.is_file():
            known = ", ".join(store.catalog.models)
            raise ModelNotFound(
                f"{name!r} is neither a model id ({known}) nor a weights file that exists."
            )
        name, sha256, official = path.name, store.sha256(path), False
    opened = open_chosen(
        path, backend, device, precision=precision, sha256=sha256, cache=store.cache
    )
    return LoadedModel(name, path, sha256, official, opened.backend, opened.choice, opened.notices)


def weights_state(path: Path) -> tuple[tuple[int, int], ...]:
    """Size and modification time (ns) of every file that opening `path` may read.

    Changes when a model must be opened again. Raises OSError if `path` is not there.
    """
    files = [path, path.with_suffix(ONNX_SUFFIX), path.with_suffix(INT8_SUFFIX)]
    states = [file.stat() for file in files if file == path or file.is_file()]
    return tuple((state.st_size, state.st_mtime_ns) for state in states)
