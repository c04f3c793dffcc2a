"""CenterFace: faces as points on a heat map (Xu et al., arXiv:1911.03599).

The network gives, for every 4x4 pixels, the probability that a face is centred there,
where in the cell, and the logarithm of its height and width.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import ChecksumMismatch
from ..extent import Extent
from ..lab import FloatArray, grey
from ..resize import resized

_MODEL: Final = "centerface.onnx"
_SHA256: Final = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
# heat map, log of height and width, offset of y and x, landmarks
_OUTPUTS: Final = ("537", "538", "539", "540")
_CELL: Final = 4  # input pixels per cell of the heat map
_STEP: Final = 32  # the network halves five times before it grows again
LOOK_SIZE: Final = 640  # long side at which we look for what a photograph shows
_SCORE: Final = 0.5
_OVERLAP: Final = 0.3  # intersection over union of two boxes that are one face


@dataclass(frozen=True)
class Face:
    """A box from forehead to chin in fractions of the picture; score: 0 to 1, how sure.

    x, y: the upper left corner; a face cut by the edge may reach past 0 or 1.
    """

    x: float
    y: float
    width: float
    height: float
    score: float


def find_faces(light: FloatArray) -> tuple[Face, ...]:
    """The faces of a photograph, surest first. light: (h, w) float32 CIE L* in [0, 100].

    Upright faces, from the front or turned by up to about a right angle; a face in
    a long picture must cover about 1/50 of the long side. Raises ChecksumMismatch when the
    model file of this installation is damaged.
    """
    extent = Extent.of(light.shape).fit(LOOK_SIZE, _STEP)
    small = resized(light, extent)
    seen = np.repeat(grey(small)[None, None] * np.float32(255), 3, axis=1)  # (1, 3, h, w)
    # A new network each time: OpenCV's classic engine gives wrong numbers when one is
    # used again at another size, and one must not be shared between threads.
    network = cv2.dnn.readNetFromONNX(_model())
    network.setInput(seen)
    heat, sizes, offsets, _ = network.forward(_OUTPUTS)
    return _decode(heat[0, 0], sizes[0], offsets[0], extent)


@cache
def _model() -> npt.NDArray[Any]:
    """The bytes of the model file, (n,) uint8, checked."""
    data = files(__package__).joinpath(_MODEL).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != _SHA256:
        raise ChecksumMismatch(
            f"{_MODEL}: expected SHA-256 {_SHA256}, got {found}: the file is damaged. "
            "Install heliochrome again."
        )
    return np.frombuffer(data, np.uint8)


def _decode(
    heat: FloatArray, sizes: FloatArray, offsets: FloatArray, extent: Extent
) -> tuple[Face, ...]:
    """Peaks of the heat map (h, w), sizes (2, h, w) and offsets (2, h, w) -> faces."""
    rows, columns = np.nonzero(heat >= _SCORE)
    scores = heat[rows, columns]
    height, width = np.exp(sizes[:, rows, columns]) * _CELL  # (n,) pixels each
    dy, dx = offsets[:, rows, columns]
    y = (rows + dy + 0.5) * _CELL - height / 2
    x = (columns + dx + 0.5) * _CELL - width / 2
    boxes = np.stack((x, y, width, height), axis=1)  # (n, 4)
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), _SCORE, _OVERLAP)
    wide, high = extent.width, extent.height
    return tuple(
        Face(
            x=float(x[i]) / wide,
            y=float(y[i]) / high,
            width=float(width[i]) / wide,
            height=float(height[i]) / high,
            score=float(scores[i]),
        )
        for i in kept
    )
