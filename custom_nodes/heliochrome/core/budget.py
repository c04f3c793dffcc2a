"""What a forward pass will need, and the largest size for which that is free."""

from __future__ import annotations

from typing import Final

from .backends.base import Backend
from .extent import Extent
from .presets import MAX_SIZE, MIN_SIZE, SIZE_STEP

# Long sides to step down through, each about a quarter less work than the one before.
LADDER: Final = (MAX_SIZE, 1120, 960, 832, 704, 640, 512, 448, 384, 320, MIN_SIZE)
# Calibration was done on one machine; other processors, drivers and versions differ.
MARGIN: Final = 1.2
# For our own planes at the network's size, and for what other programs take meanwhile.
RESERVE: Final = 128 * 2**20


def sizes(asked: int) -> tuple[int, ...]:
    """The asked long side, then every smaller size of the ladder. Never empty."""
    used = asked // SIZE_STEP * SIZE_STEP
    return (asked, *(size for size in LADDER if size < used))


def bytes_needed(backend: Backend, extent: Extent, batch: int = 1) -> int:
    """Bytes that must be free on the backend's device before it runs `batch` pictures.

    The calibrated memory of a forward pass, a fifth more for safety, and 128 MiB. The
    network's weights are not in it: they are loaded already.
    """
    return round(backend.activation_bytes(extent, batch) * MARGIN) + RESERVE


def largest_size(backend: Backend, photo: Extent, asked: int, free: int) -> int | None:
    """The first of `sizes(asked)` at which `photo` needs no more than `free` bytes; None if none.

    photo: only its aspect counts. free: bytes on the backend's device.
    """
    for size in sizes(asked):
        if bytes_needed(backend, photo.fit(size, SIZE_STEP)) <= free:
            return size
    return None
