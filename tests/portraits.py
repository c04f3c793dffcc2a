"""Photographs with faces in them, for the tests."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from heliochrome.core.lab import lightness

ASTRONAUT = Path(__file__).parent / "data" / "faces" / "astronaut.jpg"


def pixels(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 sRGB."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def astronaut() -> np.ndarray:
    """(320, 320, 3) uint8: one face, an orange suit, a flag."""
    return pixels(ASTRONAUT)


def old_photograph(starts: str) -> np.ndarray:
    """L* (H, W) of the photograph in HELIOCHROME_TEST_PHOTOS whose name starts so."""
    folder = os.environ.get("HELIOCHROME_TEST_PHOTOS")
    if folder is None:
        pytest.skip("HELIOCHROME_TEST_PHOTOS does not name the original's test_images folder")
    (path,) = Path(folder).glob(f"{starts}*")
    return lightness(pixels(path))
