from __future__ import annotations

from pathlib import Path

import pytest

import micro


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder that holds a micro network as ddcolor_v2."""
    folder = tmp_path_factory.mktemp("models")
    micro.save(folder / "ddcolor_v2.safetensors")
    return folder


@pytest.fixture
def with_model(model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a user who has the default model and no network."""
    monkeypatch.setenv("HELIOCHROME_MODELS", str(model_folder))
    monkeypatch.setenv("HELIOCHROME_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HELIOCHROME_OFFLINE", "1")


@pytest.fixture
def without_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELIOCHROME_MODELS", "")
    monkeypatch.setenv("HELIOCHROME_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HELIOCHROME_OFFLINE", "1")
