"""The event loop: uvloop where it is installed, which spends less on each request."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


def run(main: Coroutine[Any, Any, None]) -> None:
    """As asyncio.run."""
    try:
        import uvloop

        from .quick_loop import QuickLoop
    except ImportError:  # as on Windows
        asyncio.run(main)
    else:
        uvloop.run(main, loop_factory=QuickLoop)
