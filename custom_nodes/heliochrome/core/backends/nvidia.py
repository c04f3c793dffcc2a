"""Is there an NVIDIA GPU? Asked of the driver itself, so that no runtime need be imported."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import Final

_DRIVER: Final = "nvcuda.dll" if os.name == "nt" else "libcuda.so.1"
_NAME_BYTES: Final = 256


@cache
def gpu_name() -> str | None:
    """Name of the first GPU that this process may use; None without one or without a driver.

    CUDA_VISIBLE_DEVICES counts. Never run on a real GPU by its author.
    """
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError:
        return None
    device, count, name = ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(_NAME_BYTES)
    for code in (
        driver.cuInit(0),
        driver.cuDeviceGetCount(ctypes.byref(count)),
        driver.cuDeviceGet(ctypes.byref(device), 0),
        driver.cuDeviceGetName(name, _NAME_BYTES, device),
    ):
        if code != 0:
            return None
    return name.value.decode(errors="replace")
