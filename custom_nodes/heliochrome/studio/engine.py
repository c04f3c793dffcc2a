"""What does the work on one photograph's pixels: here, or in a ComfyUI."""

from __future__ import annotations

from typing import Protocol

from ..core.errors import HeliochromeError
from ..core.jobs import Cancel, Progress
from ..core.photo.model import Pixels
from ..core.treatment import Treated
from .records import Order


class EngineAway(HeliochromeError):
    """The engine cannot be reached, or has forgotten the work. It may come back.

    begun: it had taken the work, so that the work may be what ended it.
    """

    code = "engine_failed"

    def __init__(self, message: str, *, begun: bool = False) -> None:
        super().__init__(message)
        self.begun = begun


class EngineFailed(HeliochromeError):
    """The engine has said what is wrong, with the code for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def model_missing(model: str) -> EngineFailed:
    """In words for whoever brought the photograph; where was searched is in the log."""
    return EngineFailed(
        "model_unavailable",
        f"The model {model} is not there, or cannot be used. Whoever looks after this machine gets "
        f"it with `heliochrome models get {model}`.",
    )


class Engine(Protocol):
    """name: as the page calls it."""

    name: str

    def ready(self) -> None:
        """Raise EngineAway where it cannot work at the moment."""
        ...

    def colorize(self, pixels: Pixels, order: Order, progress: Progress, cancel: Cancel) -> Treated:
        """(H, W, 3) sRGB uint8 | uint16 -> the same shape and dtype, which may be `pixels` itself.

        Raises EngineAway, EngineFailed, what the core raises, and what `cancel` raises.
        """
        ...

    def close(self) -> None: ...
