"""What a run left behind: saved files and what they say of themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from running_host import Run, RunningHost

from heliochrome.core.provenance import Provenance, from_xmp


def saved(host: RunningHost, run: Run, node: str) -> list[Path]:
    assert run.failure is None, run.failure
    return [
        host.base / "output" / image["subfolder"] / image["filename"]
        for image in run.outputs[node]["images"]
    ]


def pixels_in(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def provenance_in(path: Path) -> Provenance:
    with Image.open(path) as image:
        found = from_xmp(image.info["XML:com.adobe.xmp"].encode())
    assert found is not None
    return found
