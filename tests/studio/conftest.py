"""Studios with a micro model, and photographs of a few kinds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from running_studio import RunningStudio, running_studio


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with running_studio(tmp_path_factory.mktemp("studio")) as running:
        yield running


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A grey JPEG, 301 x 200, with EXIF that must not get lost."""
    rows, columns = np.mgrid[0:200, 0:301]
    light = 128 + 60 * np.sin(columns / 23) * np.cos(rows / 17) + 40 * (rows > 120)
    exif = Image.Exif()
    exif[0x010E] = "Grandmother in the garden"
    path: Path = tmp_path_factory.mktemp("photo") / "grandmother.jpg"
    Image.fromarray(light.clip(0, 255).astype(np.uint8)).save(path, exif=exif, quality=92)
    return path.read_bytes()
