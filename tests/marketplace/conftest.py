"""Root file systems that prepare-instance worked on, made once, and copies that may be spoilt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from instance_checker import Image, packages, wrong
from instance_root import copy, lay_root, make_key, seal, tool, write


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    tool("gpg")
    return make_key(tmp_path_factory.mktemp("key"))


@pytest.fixture(scope="session")
def check(key: tuple[Path, str]) -> Callable[..., dict[str, list[str]]]:
    """What check_instance finds wrong, by point; the key of the day in place of the pinned."""
    keys = dict.fromkeys(packages.KEYS, key[1])

    def found(root: Path, card: bool = True) -> dict[str, list[str]]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(packages, "KEYS", keys)
            return wrong(Image(root, card))

    return found


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, key: tuple[Path, str]) -> Path:
    return lay_root(tmp_path_factory.mktemp("prepared") / "root", key[0])


@pytest.fixture(scope="session")
def sealed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = copy(prepared, tmp_path_factory.mktemp("sealed") / "root")
    done = seal(root)
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture
def root(prepared: Path, tmp_path: Path) -> Path:
    """One that may be spoilt."""
    return copy(prepared, tmp_path / "root")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """What belongs to the machine that the disk is mounted on."""
    folder = tmp_path / "outside"
    for name in ("authorized_keys", "deep/a.log", "hosts", "photo.jpg", "machine-id"):
        write(folder, name, f"the machine's own {name}\n")
    return folder
