"""Which way a photograph's colour profile is handled, and the conversion it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from .icc import (
    Space,
    UnusableProfile,
    convert,
    grey_curve,
    grey_to_srgb,
    is_like_srgb,
    matrix_space,
    read_header,
    srgb_space,
)
from .model import BitDepth, Pixels

# none: sRGB is assumed and nothing embedded. keep: it is sRGB. both-ways: converted on reading
# and back on writing. curve: grey, by its tone curve. engine: by the colour engine while decoding.
Route = Literal["none", "keep", "both-ways", "curve", "engine"]
_SPACES: Final = {1: b"GRAY", 3: b"RGB ", 4: b"CMYK"}
DTYPES: Final[dict[BitDepth, type[np.uint8] | type[np.uint16]]] = {8: np.uint8, 16: np.uint16}


@dataclass(frozen=True)
class Plan:
    """How the values of a file become sRGB, and the sentence to tell if that loses something."""

    route: Route
    notes: tuple[str, ...] = ()


def plan(profile: bytes | None, bands: int) -> Plan:
    """bands: colour channels as stored, 1 grey, 3 RGB or 4 CMYK."""
    if bands == 4:
        return _plan_cmyk(profile)
    if profile is None:
        return Plan("none")
    try:
        header = read_header(profile)
        if header.space != _SPACES[bands]:
            raise UnusableProfile(f"it is for {header.space.decode('ascii', 'replace').strip()}")
        if grey_curve(header) is not None:
            return Plan("curve")
        if (space := matrix_space(header)) is not None:
            return Plan("keep" if is_like_srgb(space) else "both-ways")
    except UnusableProfile as error:
        return Plan("none", (f"The colour profile was left out: {error}.",))
    note = "The colour profile cannot be undone exactly; the result is sRGB instead."
    return Plan("engine", (note,))


def apply_grey(grey: Pixels, profile: bytes) -> Pixels:
    """Grey codes of a "curve" profile to sRGB codes, same shape and type.

    Left as they are where the curve is sRGB's own to one 8-bit level.
    """
    curve = grey_curve(read_header(profile))
    if curve is None:
        raise UnusableProfile("it has no grey curve")
    levels = np.linspace(0, 65535, 256).round().astype(np.uint16)
    moved = grey_to_srgb(levels, curve).astype(np.int32) - levels
    return grey if np.abs(moved).max() <= 257 else grey_to_srgb(grey, curve)


def to_srgb(pixels: Pixels, profile: bytes) -> Pixels:
    """(H, W, 3) codes of a "both-ways" profile to uint16 sRGB."""
    return convert(pixels, _space(profile), srgb_space(), np.uint16)


def from_srgb(pixels: Pixels, profile: bytes, depth: BitDepth) -> Pixels:
    """(H, W, 3) sRGB codes to `profile` at `depth` bits: the way back of `to_srgb`."""
    return convert(pixels, srgb_space(), _space(profile), DTYPES[depth])


def srgb_profile() -> bytes:
    """The sRGB profile that is embedded where the photograph's own cannot be: libvips' own."""
    import pyvips

    return bytes(pyvips.Operation.call("profile_load", "srgb"))


def _plan_cmyk(profile: bytes | None) -> Plan:
    note = "The photograph was in printing inks (CMYK); the result is sRGB."
    if profile is not None:
        try:
            if read_header(profile).space == _SPACES[4]:
                return Plan("engine", (note,))
        except UnusableProfile:
            pass  # treated as any other profile that does not fit the pixels
        note += " Its colour profile could not be used."
    return Plan("engine", (note,))


def _space(profile: bytes) -> Space:
    space = matrix_space(read_header(profile))
    if space is None:
        raise UnusableProfile("it is not a matrix profile")
    return space
