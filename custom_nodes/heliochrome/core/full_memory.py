"""How errors say that memory is full, and the one that a user reads of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from .errors import OutOfMemory

# How C++ libraries word it, whatever class of error they wrap it in.
_MARKS: Final = (
    "out of memory",
    "not enough memory",
    "insufficient memory",
    "alloc_failed",  # cuBLAS and cuDNN
    "bad_alloc",
    "bad allocation",
    "bad array new length",
    "failed to alloc",
    "cannot alloc",
    "can't alloc",  # in full: OpenVINO's FullyConnected stops there
    "could not alloc",
)


def says_out_of_memory(error: BaseException, *own_marks: str) -> bool:
    """Whether a library's error is one of a full memory. own_marks: its own words, lower case."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(mark in text for mark in (*_MARKS, *own_marks))


@contextmanager
def memory_errors(doing: str) -> Iterator[None]:
    """Turn NumPy's and OpenCV's own errors of a full memory into OutOfMemory.

    doing: what there was no memory for, for the message.
    """
    import cv2  # here, because what touches no picture reads errors of runtimes too

    try:
        yield
    except (MemoryError, cv2.error) as error:
        if not says_out_of_memory(error):
            raise
        raise OutOfMemory(
            f"not enough memory to {doing}: close other programs, or scale the photograph down."
        ) from error
