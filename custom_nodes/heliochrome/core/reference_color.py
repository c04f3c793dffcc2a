"""Take over the colours of another picture: a palette for each range of lightness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from .errors import BadImage, BadSetting
from .extent import Extent
from .lab import FloatArray, ImageArray, as_floats
from .pixels import require_rgb

_Double = npt.NDArray[np.float64]

_BANDS: Final = np.array([10.0, 30.0, 50.0, 70.0, 90.0])  # L* at the middle of each
_WIDTH: Final = 12.0  # Gaussian sigma of a band in L*: they overlap
_SAMPLE: Final = 512  # long side at which a picture is measured
_PRIOR: Final = 0.02  # of the picture: a smaller band leans on the whole picture
_NOISE: Final = 2.0  # ab units of spread that mean nothing
_MOST: Final = 3.0  # a spread of colours is widened by at most this factor
_GREY: Final = 3.0  # 95 of 100 pixels below this chroma: nothing to take over


@dataclass(frozen=True, eq=False)
class ReferenceColors:
    """What is kept of a reference picture, for each range of lightness.

    means: (bands, 2) float64 a*b*; covariances: (bands, 2, 2) float64.
    """

    means: _Double
    covariances: _Double

    @classmethod
    def of(cls, image: ImageArray) -> ReferenceColors:
        """Measure a colour picture: (H, W, 3) sRGB uint8 | uint16 | float32 in [0, 1], any size.

        Raises BadImage for another shape, dtype or NaN, and for a grey picture.
        """
        require_rgb(image, "reference picture")
        step = _stride(image)
        rgb = as_floats(image[::step, ::step])
        # OpenCV's Lab is good enough for averages
        lab = cv2.cvtColor(np.clip(rgb, 0, 1), cv2.COLOR_RGB2Lab)
        ab = lab[..., 1:]
        vivid = float(np.percentile(np.hypot(ab[..., 0], ab[..., 1]), 95))
        if vivid < _GREY:
            raise BadImage(
                "reference picture: expected a picture in colour, got a grey one "
                f"(95 % of it has a chroma below {vivid:.1f}). Choose another picture."
            )
        return cls(*_measure(ab, _shares(lab[..., 0])))


def transfer(
    ab: FloatArray, light: FloatArray, reference: ReferenceColors, amount: float
) -> FloatArray:
    """Give ab the reference's mean and spread of colours, at each lightness.

    ab: (h, w, 2) float32 CIE a*b*; light: (h, w) float32 L* in [0, 100]; amount: 0 (off) to 1.
    The linear Monge-Kantorovich map (Pitie and Kokaram 2007), which moves colours
    as little as possible, once per range of lightness and blended. Returns new ab.
    Raises BadSetting for an amount outside 0 to 1.
    """
    if not 0 <= amount <= 1:
        raise BadSetting(f"amount: expected 0 to 1, got {amount}.")
    shares = _shares(light)
    step = _stride(ab)
    means, covariances = _measure(ab[::step, ::step], shares[:, ::step, ::step])
    moved = np.zeros_like(ab)
    for band, share in enumerate(shares):
        matrix = _monge_kantorovich(covariances[band], reference.covariances[band])
        offset = reference.means[band] - matrix @ means[band]
        mapped = ab @ matrix.T.astype(np.float32) + offset.astype(np.float32)
        moved += share[..., None] * mapped
    result: FloatArray = ab + np.float32(amount) * (moved - ab)
    return result


def _stride(image: ImageArray) -> int:
    """Every n-th row and column is enough to measure an (H, W, ...) picture."""
    extent = Extent.of(image.shape)
    return max(1, max(extent.width, extent.height) // _SAMPLE)


def _shares(light: FloatArray) -> FloatArray:
    """(h, w) L* -> (bands, h, w): how much it belongs to each band, 1 in all."""
    distance = (light - _BANDS[:, None, None].astype(np.float32)) / np.float32(_WIDTH)
    shares: FloatArray = np.exp(np.float32(-0.5) * distance * distance)
    shares /= shares.sum(axis=0)
    return shares


def _measure(ab: FloatArray, shares: FloatArray) -> tuple[_Double, _Double]:
    """Means (bands, 2) and covariances (bands, 2, 2) of (h, w, 2) weighted by (bands, h, w)."""
    flat = ab.reshape(-1, 2).astype(np.float64)
    weights = shares.reshape(len(shares), -1) / np.float64(len(flat))
    everywhere = np.full((1, len(flat)), _PRIOR / len(flat))
    means, covariances = [], []
    for weight in weights:
        # The whole picture speaks too, loudest where the band is nearly empty.
        whole = weight[None] + everywhere
        mean = (whole @ flat)[0] / whole.sum()
        centred = flat - mean
        means.append(mean)
        covariances.append((whole * centred.T) @ centred / whole.sum())
    return np.array(means), np.array(covariances)


def _monge_kantorovich(source: _Double, target: _Double) -> _Double:
    """The symmetric (2, 2) matrix that turns one covariance into the other."""
    noise = _NOISE**2 * np.eye(2)
    root = _power(source + noise, 0.5)
    inverse = _power(source + noise, -0.5)
    matrix = inverse @ _power(root @ (target + noise) @ root, 0.5) @ inverse
    values, vectors = np.linalg.eigh(matrix)
    bounded: _Double = (vectors * np.minimum(values, _MOST)) @ vectors.T
    return bounded


def _power(matrix: _Double, exponent: float) -> _Double:
    """Of a symmetric positive (2, 2) matrix."""
    values, vectors = np.linalg.eigh(matrix)
    power: _Double = (vectors * values**exponent) @ vectors.T
    return power
