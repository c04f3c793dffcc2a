"""Stepping down: by budget, by proof, and what the user is told of it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import pytest

from calibrated import Calibrated
from heliochrome.core.budget import LADDER, bytes_needed
from heliochrome.core.errors import BadWeights, OutOfMemory
from heliochrome.core.extent import Extent
from heliochrome.core.sizing import predict_at_largest

PHOTO = Extent(4000, 3000)
PLENTY = 1 << 50


def cv2_full(text: str) -> cv2.error:
    """As OpenCV words it, before what it was about."""
    return cv2.error(f"OpenCV(5.0.0) alloc.cpp:73: error: (-4:Insufficient memory) {text}\n")


def cv2_other(text: str) -> cv2.error:
    error = cv2.error(text)
    error.code = cv2.Error.StsBadArg
    return error


@dataclass
class Machine:
    """free: bytes it says are free; runs_to: the longest side that does not run out."""

    free: int | None
    runs_to: int = 1280
    error: Callable[[str], Exception] = OutOfMemory
    tried: list[int] = field(default_factory=list)
    asked_for: list[int] = field(default_factory=list)

    def free_memory(self, device: str, wanted: int) -> int | None:
        assert device == "cpu"
        self.asked_for.append(wanted)
        return self.free

    def run(self, extent: Extent) -> str:
        self.tried.append(extent.width)
        if extent.width > self.runs_to:
            raise self.error(f"no room for {extent}")
        return str(extent)


def need(size: int) -> int:
    return bytes_needed(Calibrated(), PHOTO.fit(size, 32))


@pytest.mark.parametrize(
    ("asked", "free", "runs_to", "tried", "code", "words"),
    [
        pytest.param(1280, PLENTY, 1280, [1280], None, "", id="all is well"),
        pytest.param(1280, None, 1280, [1280], None, "", id="unknown is no reason to refuse"),
        pytest.param(1000, PLENTY, 1280, [992], None, "", id="snapped only: another's notice"),
        pytest.param(
            1280, need(640), 1280, [640], "size-reduced",
            "Size 640 was used, not 1280, which needs about 1.6 GB of memory: 503 MB was free.",
            id="budget",
        ),
        pytest.param(
            512, need(256) - 1, 1280, [256], "size-reduced",
            "Size 256 was used, not 512, which needs about 370 MB of memory: 193 MB was free.",
            id="the smallest is tried against the budget",
        ),
        pytest.param(256, 0, 1280, [256], None, "", id="nothing free, and still tried"),
        pytest.param(
            1280, PLENTY, 700, [1280, 1120, 960, 832, 704, 640], "size-reduced-ran-out",
            "Size 640 was used, not 1280: memory ran out at 704.",
            id="proof",
        ),
        pytest.param(
            1280, None, 1119, [1280, 1120, 960], "size-reduced-ran-out",
            "Size 960 was used, not 1280: memory ran out at 1120.",
            id="proof where nothing is known",
        ),
        pytest.param(
            1280, need(512), 400, [512, 448, 384], "size-reduced-ran-out",
            "Size 384 was used, not 1280: memory ran out at 448.",
            id="budget, then proof",
        ),
        pytest.param(
            300, PLENTY, 256, [288, 256], "size-reduced-ran-out",
            "Size 256 was used, not 300: memory ran out at 300.",
            id="between two steps",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("error", [OutOfMemory, MemoryError, cv2_full])
def test_the_largest_size_that_memory_allows(
    asked: int,
    free: int | None,
    runs_to: int,
    tried: list[int],
    code: str | None,
    words: str,
    error: Callable[[str], Exception],
) -> None:
    machine = Machine(free, runs_to, error)
    sized = predict_at_largest(machine.run, PHOTO, asked, Calibrated(), machine.free_memory)
    assert machine.tried == tried
    assert sized.value == str(PHOTO.fit(sized.size, 32))
    assert (sized.notice.code if sized.notice else None) == code
    if sized.notice:
        assert sized.notice.text == words
        values = sized.notice.values
        assert (values["asked"], values["used"]) == (asked, sized.size)
        told = [str(value) for value in values.values()]
        assert all(value in words for value in told)
    else:
        assert sized.size == asked


def test_room_is_asked_for_before_each_try() -> None:
    machine = Machine(None, runs_to=1000)
    predict_at_largest(machine.run, PHOTO, 1280, Calibrated(), machine.free_memory)
    assert machine.asked_for == [need(1280), need(1120), need(960)]


@pytest.mark.parametrize("free", [None, PLENTY, 0, 123_000_000])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_after_the_smallest_one_message_says_what_is_needed_and_free(
    free: int | None, device: str
) -> None:
    tried = []

    def run(extent: Extent) -> None:
        tried.append(extent.width)
        raise MemoryError

    with pytest.raises(OutOfMemory, match="smallest size, 256x192") as refused:
        predict_at_largest(run, PHOTO, 1280, Calibrated(device=device), lambda *_: free)
    text = str(refused.value)
    assert "\n" not in text and "193 MB is needed" in text
    assert ("is free" in text) == (free is not None)
    if free == 123_000_000:
        assert "123 MB is free" in text
    assert ("choose the device cpu" in text) == (device == "cuda")
    assert tried[-1] == 256
    assert len(tried) == (len(LADDER) if free in (None, PLENTY) else 1)
    # The failed passes' traceback, and with it what they held, is not kept by the message.
    assert refused.value.__cause__ is None and refused.value.__context__ is None


def test_what_a_failed_pass_held_is_freed_before_the_next() -> None:
    """Also when its objects refer to each other, as a library's may."""

    class Planes:
        """Stands for the activations."""

        def __init__(self) -> None:
            self.itself = self

    held: list[weakref.ref[Planes]] = []
    alive: list[int] = []

    def run(extent: Extent) -> int:
        alive.append(sum(ref() is not None for ref in held))
        planes = Planes()
        held.append(weakref.ref(planes))
        if extent.width > 832:
            raise OutOfMemory("full")
        return extent.width

    gc.disable()  # only what `predict_at_largest` does itself counts
    try:
        sized = predict_at_largest(run, PHOTO, 1280, Calibrated(), lambda *_: None)
    finally:
        gc.enable()
    assert (sized.value, alive) == (832, [0, 0, 0, 0])


@pytest.mark.parametrize("error", [BadWeights, KeyboardInterrupt, RuntimeError, cv2_other])
def test_other_errors_are_not_taken_for_a_full_memory(
    error: Callable[[str], BaseException],
) -> None:
    tried = []

    def run(extent: Extent) -> None:
        tried.append(extent)
        raise error("something else")

    with pytest.raises(type(error("")), match="something else"):
        predict_at_largest(run, PHOTO, 1280, Calibrated(), lambda *_: None)
    assert len(tried) == 1
