"""Where model files lie, and which process may write them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from .disk import CannotWrite, is_writable, sweep_parts
from .jobs import Cancel
from .weights_file import SUFFIXES

_NESTED: Final = ("pytorch_model.bin", "pytorch_model.pt", "model.safetensors", "model.onnx")
_LOCK_POLL_S: Final = 0.2


def locate(folders: Sequence[Path], model_id: str) -> Path | None:
    """The first file that is the model by its name: <id><suffix>, or as a downloaded
    repository <id>/pytorch_model.bin and the like. Folders that cannot be read are passed."""
    names = [f"{model_id}{suffix}" for suffix in SUFFIXES]
    names += [f"{model_id}/{name}" for name in _NESTED]
    return next(
        (path for folder in folders for name in names if _is_file(path := folder / name)), None
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except PermissionError:
        return False


def writable_folder(folders: Sequence[Path]) -> Path:
    """The first folder that takes a file. Raises `CannotWrite` if none does."""
    for folder in folders:
        if is_writable(folder):
            return folder
    raise CannotWrite(
        f"None of these folders can be written: {listed(folders)}. "
        "Let HELIOCHROME_CACHE name a folder of yours."
    )


def listed(folders: Sequence[Path]) -> str:
    return ", ".join(str(folder) for folder in folders)


@contextmanager
def only_one(folder: Path, model_id: str, cancel: Cancel) -> Iterator[Path]:
    """Hold the right to write a model's files in this folder; waits for other processes.

    The system frees the lock of a killed process. Gives the lock's file, which stays: whoever
    removes it must bear that those who wait for it and those who come later do not see each other.
    """
    path = folder / f".{model_id}.lock"
    lock = FileLock(path)
    while True:
        cancel()
        try:
            lock.acquire(timeout=_LOCK_POLL_S)
            break
        except Timeout:
            continue
    try:
        yield path
    finally:
        lock.release()


def sweep(folder: Path, model_id: str) -> None:
    """Remove what broken downloads and imports of a model have left. Hold `only_one`."""
    for pattern in (f"{model_id}.*.part", f"{model_id}.*.part.json"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)
    sweep_parts(folder, model_id)
