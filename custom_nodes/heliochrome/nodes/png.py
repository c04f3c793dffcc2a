"""PNG files that carry the host's graph and our provenance; whole or not there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..core.errors import OutputExists
from ..core.photo.png import XMP_KEYWORD
from ..core.photo.publish import new_file

_COMPRESSION: Final = 4  # as ComfyUI's own Save Image


@dataclass(frozen=True)
class PngName:
    """`stem_00001_suffix.png` in a folder; the host counts on from the number it finds there."""

    folder: Path
    stem: str
    suffix: str

    def numbered(self, counter: int) -> Path:
        return self.folder / f"{self.stem}_{counter:05}_{self.suffix}.png"


def save_png(
    name: PngName,
    counter: int,
    pixels: npt.NDArray[np.uint8],
    texts: Mapping[str, str],
    xmp: bytes | None,
) -> tuple[Path, int]:
    """Write (H, W, 3 or 4) pixels under the first free number from `counter` on.

    Gives the path and its number. Never overwrites, also not what another process saves
    meanwhile. Raises OutputFailed; then nothing is left behind.
    """
    metadata = PngInfo()
    for key, value in texts.items():
        metadata.add_text(key, value)
    if xmp is not None:
        metadata.add_itxt(XMP_KEYWORD, xmp.decode("utf-8"))
    picture = Image.fromarray(pixels)
    while (path := name.numbered(counter)).exists() or not _save(picture, path, metadata):
        counter += 1
    return path, counter


def _save(picture: Image.Image, path: Path, metadata: PngInfo) -> bool:
    """False if another process has taken the name."""
    try:
        with new_file(path, overwrite=False) as file:
            picture.save(file, format="PNG", pnginfo=metadata, compress_level=_COMPRESSION)
    except OutputExists:
        return False
    return True
