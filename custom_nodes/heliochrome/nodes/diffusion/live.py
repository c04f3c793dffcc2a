"""One progress bar for all that a node does, with the picture as it comes about."""

from __future__ import annotations

import comfy.utils
import numpy as np
import numpy.typing as npt
from comfy.cli_args import args
from PIL import Image


class Live:
    """progress: see `core.jobs.Progress`. preview: see `diffusion.Preview`.

    The host sends the picture to whoever pressed Run, whatever its --preview-method is: that
    costs next to nothing here.
    """

    def __init__(self, node_id: str | None) -> None:
        self._bar = comfy.utils.ProgressBar(1, node_id=node_id)

    def progress(self, done: int, total: int) -> None:
        self._bar.update_absolute(done, total)

    def preview(self, image: npt.NDArray[np.uint8], done: int, total: int) -> None:
        """Comes with the progress of the same step, which alone tells how far the whole is."""
        picture = ("JPEG", Image.fromarray(image), args.preview_size)
        self._bar.update_absolute(self._bar.current, self._bar.total, picture)
