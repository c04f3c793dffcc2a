"""Folders of the host that models lie in, and the store over them."""

from __future__ import annotations

from pathlib import Path

import folder_paths

from ..core.store import ModelStore


def register(kind: str) -> None:
    """Make models/<kind> known to the host, beside folders from extra_model_paths.yaml."""
    folder_paths.add_model_folder_path(kind, str(Path(folder_paths.models_dir) / kind))


def store_over(kind: str) -> ModelStore:
    """The store over the user's folders, those of the host, and the cache."""
    folders = [Path(folder) for folder in folder_paths.get_folder_paths(kind)]
    return ModelStore.from_environ(extra_folders=folders)
