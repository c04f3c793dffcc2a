"""The core behind every adapter: a request in, a response out, never an exception."""

from __future__ import annotations

from .request import HandlerRequest
from .responses import HandlerResponse


def handle(request: HandlerRequest, *, deadline: float | None = None) -> HandlerResponse:
    """Answer one request.

    deadline: when the platform ends the process, by `time.monotonic()`; work stops
    HELIOCHROME_DEADLINE_MARGIN seconds before. None: there is none. Whatever is wrong becomes
    a structured answer. Threads may call at the same time; work is done one after the other.
    """
    raise NotImplementedError
