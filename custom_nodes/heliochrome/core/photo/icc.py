"""ICC profiles of the matrix and grey kinds, computed here (ICC.1:2022).

Little CMS turns 16-bit transforms into a coarse table: a grey ramp came back from Adobe RGB up
to 750 of 65535 off. These profiles are a curve and a matrix, so they are computed exactly.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..lab import full_scale, linear_to_srgb, srgb_to_linear
from .model import Pixels

Floats = NDArray[np.float32]
_Curve = NDArray[np.float64]

_STEPS: Final = 65536  # of a device value
# Encoding tables are looked up by the square root of the light, which spends its steps where
# the eye and the 16-bit codes do. Four table steps per code keep the error under one code.
_ROOT_STEPS: Final = 4 * 65535
_STRIP: Final = 1 << 20  # pixels worked on at a time
# Linear sRGB to the D50 connection space: IEC 61966-2-1 primaries, Bradford-adapted.
_SRGB_TO_XYZ: Final = np.array(
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)
_WHITE_TOLERANCE: Final = 0.01


class UnusableProfile(ValueError):
    """The bytes are not an ICC profile that can be applied."""


@dataclass(frozen=True)
class Header:
    """What kind of profile it is: device class and colour space signatures, and tag positions."""

    device_class: bytes
    space: bytes
    tags: dict[bytes, bytes]


def read_header(profile: bytes) -> Header:
    """Raises UnusableProfile."""
    if len(profile) < 132 or profile[36:40] != b"acsp":
        raise UnusableProfile("it is not an ICC profile")
    (count,) = struct.unpack_from(">I", profile, 128)
    if 132 + 12 * count > len(profile):
        raise UnusableProfile("its tag table is cut short")
    tags = {}
    for index in range(count):
        name, offset, size = struct.unpack_from(">4sII", profile, 132 + 12 * index)
        tags[name] = profile[offset : offset + size]
    return Header(profile[12:16], profile[16:20], tags)


@dataclass(frozen=True, eq=False)
class Space:
    """An RGB colour space: curves (3, 65536) from code to light in [0, 1], and primaries.

    to_srgb: (3, 3) from its light to sRGB's light; white goes to white exactly.
    """

    curves: _Curve
    to_srgb: NDArray[np.float64]


def srgb_space() -> Space:
    curve = srgb_to_linear(np.arange(_STEPS, dtype=np.uint16)).astype(np.float64)
    return Space(np.stack([curve] * 3), np.eye(3))


def matrix_space(header: Header) -> Space | None:
    """The RGB space of a matrix profile; None if it is of another kind. Raises UnusableProfile.

    A profile that also has colour tables is of another kind: the tables are what it means.
    """
    names = (b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC")
    if header.space != b"RGB " or b"A2B0" in header.tags:
        return None
    if any(name not in header.tags for name in names):
        return None
    to_xyz = np.stack([_xyz(header.tags[name]) for name in names[:3]], axis=1)
    to_srgb = np.linalg.inv(_SRGB_TO_XYZ) @ to_xyz
    rows = to_srgb.sum(axis=1, keepdims=True)
    if abs(np.linalg.det(to_srgb)) < 1e-6 or np.abs(rows - 1).max() > _WHITE_TOLERANCE:
        raise UnusableProfile("its primaries do not add up to white")
    return Space(np.stack([_curve(header.tags[n]) for n in names[3:]]), to_srgb / rows)


def grey_curve(header: Header) -> _Curve | None:
    """(65536,) code to light of a grey profile; None if it is of another kind."""
    if header.space != b"GRAY" or b"kTRC" not in header.tags or b"A2B0" in header.tags:
        return None
    return _curve(header.tags[b"kTRC"])


def grey_to_srgb(grey: Pixels, curve: _Curve) -> Pixels:
    """Grey codes of any shape to sRGB codes of the same type."""
    top = full_scale(grey.dtype)
    light = np.interp(np.linspace(0, 1, top + 1), np.linspace(0, 1, _STEPS), curve)
    table = np.rint(linear_to_srgb(light.astype(np.float32)) * top).astype(grey.dtype)
    return table[grey]


def convert(pixels: Pixels, source: Space, target: Space, dtype: type[np.generic]) -> Pixels:
    """(H, W, 3) codes of `source` to codes of `target` as uint8 or uint16; out of gamut clips.

    Worked in strips: needs the result and about 100 MB more.
    """
    matrix = (np.linalg.inv(target.to_srgb) @ source.to_srgb).T.astype(np.float32)
    top_in, out_type = full_scale(pixels.dtype), np.dtype(dtype)
    codes = np.linspace(0, _STEPS - 1, top_in + 1).round().astype(int)
    decode = source.curves[:, codes].astype(np.float32)
    encode = np.stack([_encoding_table(curve, out_type) for curve in target.curves])
    result: Pixels = np.empty(pixels.shape, out_type)
    rows = max(1, _STRIP // max(pixels.shape[1], 1))
    for top in range(0, pixels.shape[0], rows):
        strip = pixels[top : top + rows]
        light = np.stack([decode[channel][strip[..., channel]] for channel in range(3)], axis=-1)
        light = np.clip(light @ matrix, 0, 1)
        index = np.rint(np.sqrt(light) * _ROOT_STEPS).astype(np.int32)
        for channel in range(3):
            result[top : top + rows, :, channel] = encode[channel][index[..., channel]]
    return result


def is_like_srgb(space: Space) -> bool:
    """Whether no colour moves by more than one 8-bit level when taken for sRGB."""
    levels = np.linspace(0, 65535, 18).round().astype(np.uint16)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(18, -1, 3)
    moved = convert(grid, space, srgb_space(), np.uint16).astype(np.int32) - grid
    return bool(np.abs(moved).max() <= 257)


def _encoding_table(curve: _Curve, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Code for each step of the light's square root: the curve turned round."""
    light = (np.arange(_ROOT_STEPS + 1) / _ROOT_STEPS) ** 2
    rising = np.maximum.accumulate(curve)
    _, first = np.unique(rising, return_index=True)
    code = np.interp(light, rising[first], first / (_STEPS - 1))
    return np.rint(code * full_scale(dtype)).astype(dtype)


def _xyz(tag: bytes) -> NDArray[np.float64]:
    if len(tag) < 20 or tag[:4] != b"XYZ ":
        raise UnusableProfile("a primary is damaged")
    return np.array(struct.unpack_from(">3i", tag, 8)) / 65536


def _curve(tag: bytes) -> _Curve:
    """A tone curve over 65536 codes, from its gamma, table or formula."""
    x = np.linspace(0, 1, _STEPS)
    try:
        if tag[:4] == b"curv":
            (count,) = struct.unpack_from(">I", tag, 8)
            points = np.array(struct.unpack_from(f">{count}H", tag, 12), np.float64)
            if count == 0:
                return x
            if count == 1:
                return np.asarray(x ** (points[0] / 256))
            return np.interp(x, np.linspace(0, 1, count), points / 65535)
        if tag[:4] == b"para":
            return _formula(tag, x)
    except struct.error as error:
        raise UnusableProfile("a tone curve is cut short") from error
    raise UnusableProfile("a tone curve is of an unknown kind")


def _formula(tag: bytes, x: _Curve) -> _Curve:
    """Parametric curves, types 0 to 4 (ICC.1:2022, 10.18)."""
    (kind,) = struct.unpack_from(">H", tag, 8)
    counts = (1, 3, 4, 5, 7)
    if kind >= len(counts):
        raise UnusableProfile(f"a tone curve has unknown formula {kind}")
    values = [v / 65536 for v in struct.unpack_from(f">{counts[kind]}i", tag, 12)]
    g, a, b, c, d, e, f = _PARAMETERS[kind](*values)
    base = np.maximum(a * x + b, 0)
    curve: _Curve = np.clip(np.where(x >= d, base**g + e, c * x + f), 0, 1)
    return curve


# Each type's parameters as those of type 4: (a x + b) ** g + e from d on, c x + f below.
_PARAMETERS: Final[tuple[Callable[..., tuple[float, ...]], ...]] = (
    lambda g: (g, 1, 0, 0, 0, 0, 0),
    lambda g, a, b: (g, a, b, 0, -b / (a or 1), 0, 0),
    lambda g, a, b, c: (g, a, b, 0, -b / (a or 1), c, c),
    lambda g, a, b, c, d: (g, a, b, c, d, 0, 0),
    lambda g, a, b, c, d, e, f: (g, a, b, c, d, e, f),
)
