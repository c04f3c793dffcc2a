from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import micro
from heliochrome.core.loading import open_model
from heliochrome.core.store import ModelStore


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder that holds a micro network as ddcolor_v2."""
    folder = tmp_path_factory.mktemp("models")
    micro.save(folder / "ddcolor_v2.safetensors")
    return folder


@pytest.fixture(scope="session")
def used_cache(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a first run leaves: the export and what `auto` measured."""
    cache = tmp_path_factory.mktemp("used") / "cache"
    open_model(ModelStore([model_folder], cache), "ddcolor_v2").backend.close()
    return cache


@pytest.fixture
def with_model(
    model_folder: Path, used_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment of a user who has used the default model before, and no network."""
    shutil.copytree(used_cache, tmp_path / "cache")
    monkeypatch.setenv("HELIOCHROME_MODELS", str(model_folder))
    monkeypatch.setenv("HELIOCHROME_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HELIOCHROME_OFFLINE", "1")


@pytest.fixture
def without_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELIOCHROME_MODELS", "")
    monkeypatch.setenv("HELIOCHROME_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HELIOCHROME_OFFLINE", "1")
