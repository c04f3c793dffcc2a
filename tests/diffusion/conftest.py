"""The tiny pipeline, built once a session, and an engine on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import tiny_diffusion
from heliochrome.diffusion import Engine, open_engine


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that no test may change."""
    return tiny_diffusion.build(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def engine(tiny: Path) -> Iterator[Engine]:
    opened = open_engine(tiny)
    yield opened
    opened.close()
