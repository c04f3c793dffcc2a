"""For what comes true a moment later: in another process, or on a busy machine."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(check: Callable[[], bool], limit_s: float = 20.0) -> bool:
    """Whether it came true within the limit. check: sees the whole each time it looks, or it
    misses what comes in two parts."""
    end = time.monotonic() + limit_s
    while not check():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
