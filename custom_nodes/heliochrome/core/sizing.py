"""The largest size that memory allows: by budget first, then by proof."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from .backends.base import Backend
from .budget import bytes_needed, largest_size, sizes
from .disk import human_bytes
from .errors import OutOfMemory
from .extent import Extent
from .full_memory import memory_errors
from .memory import FreeMemory, free_bytes
from .notices import Notice
from .presets import SIZE_STEP

_log = logging.getLogger("heliochrome")

T = TypeVar("T")


@dataclass(frozen=True)
class Sized(Generic[T]):
    """value: what `run` gave. size: the long side that was asked of `Extent.fit`.

    notice: None if that is the size that the user asked for.
    """

    value: T
    size: int
    notice: Notice | None = None


def predict_at_largest(
    run: Callable[[Extent], T],
    photo: Extent,
    asked: int,
    backend: Backend,
    free_memory: FreeMemory = free_bytes,
) -> Sized[T]:
    """Run at the asked long side, or at the largest one below it that memory allows.

    photo: gives the aspect. Sizes for which memory is known to be short are not tried, but
    the smallest always is. When `run` raises OutOfMemory (or NumPy or OpenCV their own error
    of it), what it held is freed and the next smaller size is tried. Raises OutOfMemory after
    the smallest, and whatever else `run` raises.
    """
    ladder, why = sizes(asked), _Why()
    while True:
        wanted = bytes_needed(backend, photo.fit(ladder[0], SIZE_STEP))
        free = free_memory(backend.device, wanted)
        size = ladder[0]
        if free is not None and wanted > free:
            size = largest_size(backend, photo, size, free) or ladder[-1]
            why = why.short(ladder[0], wanted, free)
        extent = photo.fit(size, SIZE_STEP)
        try:
            with memory_errors(f"run the network at {extent}"):
                value = run(extent)
        except OutOfMemory as error:
            why = why.ran_out(size, error)
        else:
            return Sized(value, size, None if size == asked else why.notice(asked, size))
        # Only here, outside the handler, has its traceback let go of what the pass held.
        gc.collect()
        ladder = sizes(size)[1:]
        if not ladder:
            free = free_memory(backend.device, 0)  # now that nothing of ours is held
            raise OutOfMemory(_too_little(backend, extent, free))


@dataclass(frozen=True)
class _Why:
    """Why the asked size was not used. Where both are known, the proof is told."""

    needed: int = 0
    free: int = 0
    failed: int | None = None  # the last size at which memory ran out

    def short(self, size: int, needed: int, free: int) -> _Why:
        _log.debug("size %d needs %s, %s is free", size, human_bytes(needed), human_bytes(free))
        return self if self.needed else replace(self, needed=needed, free=free)

    def ran_out(self, size: int, error: OutOfMemory) -> _Why:
        # What the runtime itself said is the cause: it may have been misunderstood.
        _log.debug("memory ran out at size %d: %s (%r)", size, error, error.__cause__)
        return replace(self, failed=size)

    def notice(self, asked: int, used: int) -> Notice:
        begin = f"Size {used} was used, not {asked}"
        values: dict[str, str | int] = {"used": used, "asked": asked}
        if self.failed is not None:
            text = f"{begin}: memory ran out at {self.failed}."
            return Notice("size-reduced-ran-out", text, {**values, "failed": self.failed})
        needed, free = human_bytes(self.needed), human_bytes(self.free)
        text = f"{begin}, which needs about {needed} of memory: {free} was free."
        return Notice("size-reduced", text, {**values, "needed": needed, "free": free})


def _too_little(backend: Backend, extent: Extent, free: int | None) -> str:
    needed = human_bytes(bytes_needed(backend, extent))
    found = "" if free is None else f" and {human_bytes(free)} is free"
    choice = "" if backend.device == "cpu" else ", choose the device cpu"
    return (
        f"not enough memory to run the network even at its smallest size, {extent}: about {needed} "
        f"is needed{found}. Close other programs{choice}, or use a machine with more memory."
    )
