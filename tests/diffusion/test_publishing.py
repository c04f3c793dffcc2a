"""A model made here leaves itself in the user's folder, and nothing beside it."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from pathlib import Path

import pytest

from heliochrome.core.disk import CannotWrite
from heliochrome.core.errors import OutputExists
from heliochrome.core.jobs import never_cancel
from heliochrome.diffusion.manifest import MANIFEST
from heliochrome.diffusion.publishing import new_model


def test_nothing_is_left_beside_the_model(tiny: Path, tmp_path: Path) -> None:
    with new_model(tmp_path / "new", "a test", never_cancel) as folder:
        shutil.copytree(tiny, folder, dirs_exist_ok=True)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert (tmp_path / "new" / MANIFEST).is_file()


def test_of_two_who_make_one_model_the_second_is_told(tiny: Path, tmp_path: Path) -> None:
    """It waits for the first, whose lock is removed meanwhile."""
    waits, told = threading.Event(), []

    def second() -> None:
        try:
            with new_model(tmp_path / "new", "the second", waits.set):
                told.append("began")
        except OutputExists as error:
            told.append(str(error))

    thread = threading.Thread(target=second)
    with new_model(tmp_path / "new", "the first", never_cancel) as folder:
        thread.start()
        assert waits.wait(10)
        shutil.copytree(tiny, folder, dirs_exist_ok=True)
    thread.join(10)
    assert told == [f"{tmp_path / 'new'} is already there. Choose another name."]
    assert '"the first"' in (tmp_path / "new" / MANIFEST).read_text()


def test_a_full_disk_is_told_with_what_helps(tmp_path: Path) -> None:
    """The folder was named by the user: no environment variable changes it."""
    with (
        pytest.raises(CannotWrite, match="another disk") as raised,
        new_model(tmp_path / "new", "a test", never_cancel),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "HELIOCHROME" not in str(raised.value)
    assert not (tmp_path / "new").exists()
