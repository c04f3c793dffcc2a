"""Which models the nodes offer and where they lie on this host."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import folder_paths

from ..core.backends import AUTO
from ..core.errors import ModelNotFound
from ..core.loading import weights_state
from ..core.store import ModelStore
from ..core.weights_file import SUFFIXES
from .folders import store_over

FOLDER: Final = "ddcolor"

_PREVIEW_HINT: Final = (
    "Until then, the `preview` switch of this node gives a warm-tone preview (not colourisation)."
)
_PREVIEW_HINT_ZH: Final = (
    "没有模型时，可打开本节点的 preview（预览）开关，先看暖色预览（不是上色）。"
)


@dataclass(frozen=True)
class ModelChoice:
    """A DDColor model on this machine and how to run it.

    name: catalogue id, or the name of a file below models/ddcolor. path: its weights.
    """

    name: str
    path: Path
    backend: str = AUTO
    device: str = AUTO
    precision: str = AUTO


def store() -> ModelStore:
    return store_over(FOLDER)


def choices() -> list[str]:
    """Catalogue ids, then other model files in models/ddcolor by their name."""
    known = store().catalog.models
    files = (Path(name) for name in folder_paths.get_filename_list(FOLDER))
    own = [
        file.as_posix()
        for file in files
        if file.suffix in SUFFIXES and file.parts[0].removesuffix(file.suffix) not in known
    ]
    return [*known, *own]


def find(name: str) -> Path:
    """The weights of a model that `choices` gave.

    Raises ModelNotFound, whose one message names the model, the folders searched, the
    command that gets it and the preview switch, in English and in Chinese.
    """
    if name in store().catalog.models:
        try:
            return store().find(name)
        except ModelNotFound as missing:
            raise ModelNotFound(f"{missing} {_how_to_get(name)}") from missing
    path = folder_paths.get_full_path(FOLDER, name)
    if path is None:
        folders = ", ".join(folder_paths.get_folder_paths(FOLDER))
        raise ModelNotFound(
            f"The model file {name} is not in {folders}. Choose another model. {_PREVIEW_HINT}\n"
            f"在 {folders} 里没有找到模型文件 {name}。请选择别的模型。{_PREVIEW_HINT_ZH}"
        )
    return Path(path)


def _how_to_get(name: str) -> str:
    """What the core's message lacks here: a command that needs no PATH, and the Chinese."""
    command = f"heliochrome models get {name}"
    return (
        f"Where that command is not found, run `python -m {command}` with ComfyUI's Python. "
        f"{_PREVIEW_HINT}\n"
        f"这台电脑上没有模型 {name}（找过的文件夹见上）。请在终端运行 `{command}`，"
        f"或用 ComfyUI 的 Python 运行 `python -m {command}`。{_PREVIEW_HINT_ZH}"
    )


def fingerprint(name: str | None) -> str:
    """Changes when a file behind a model changes, so that the host runs the node again.

    A digest, because the host writes it into every saved picture and a path is nobody's
    business. The host leaves linked inputs out: their name is None, the link itself counts.
    """
    if name is None:
        return "linked"
    try:
        path = find(name)
        state = weights_state(path)
    except (ModelNotFound, OSError):
        return "missing"
    return hashlib.sha256(f"{path}:{state}".encode()).hexdigest()
