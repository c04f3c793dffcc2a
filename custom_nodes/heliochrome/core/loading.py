"""From a model's name to a loaded network, and the digest that provenance records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .backends import AUTO, Backend, open_backend
from .errors import ChecksumMismatch, ModelNotFound
from .store import ModelStore


@dataclass(frozen=True)
class LoadedModel:
    """name: catalogue id, or the file's name. sha256: of the weights file, hex."""

    name: str
    path: Path
    sha256: str
    backend: Backend


def open_model(
    store: ModelStore, name: str, backend: str = AUTO, device: str = AUTO
) -> LoadedModel:
    """Open a catalogue id or a weights file. Never downloads.

    Raises ModelNotFound, ChecksumMismatch (the file is not the one it was, or not the
    official one), BadWeights, BackendUnavailable.
    """
    if name in store.catalog.models:
        path = store.find(name)
        verdict = store.check(name, path)
        if not verdict.ok:
            raise ChecksumMismatch(verdict.text)
        return LoadedModel(name, path, verdict.sha256, open_backend(path, backend, device))
    path = Path(name).expanduser()
    if not path.is_file():
        known = ", ".join(store.catalog.models)
        raise ModelNotFound(
            f"{name!r} is neither a model id ({known}) nor a weights file that exists."
        )
    return LoadedModel(path.name, path, store.sha256(path), open_backend(path, backend, device))
