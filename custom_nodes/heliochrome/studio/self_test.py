"""Whether each preset colours a picture as it should, before anybody's photograph is at stake."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from ..core.errors import Cancelled, HeliochromeError
from ..core.jobs import Cancel, no_progress
from ..core.lab import ImageArray, lightness
from ..core.presets import PRESETS
from ..core.sample import draw_sample
from .engine import Engine, EngineAway
from .queue import Queue
from .records import Order

# Under this name is kept what the worker has found: nothing, that it is at it, or the outcomes.
_FACT: Final = "self_test"
_AT_IT: Final = "at it"
_ENDED: Final = "The self-test ended the worker: see the studio's log."
# Of L*: what rounding to 8 bits may change is below.
_LIGHTNESS: Final = 1.0
# Of 255: channels that differ by more are a colour, and on how much of the picture there must be.
_COLOUR: Final = 2
_SHARE: Final = 0.01


@dataclass(frozen=True)
class Outcome:
    """Of one preset. text: what was found, a complete English sentence."""

    preset: str
    good: bool
    text: str

    def __str__(self) -> str:
        return f"{self.preset}: {'good' if self.good else 'NOT GOOD'}. {self.text}"


def examine(engine: Engine, cancel: Cancel) -> tuple[Outcome, ...]:
    """Colour a drawn picture with each preset, which also opens the model and measures runtimes.

    Raises EngineAway, and what `cancel` raises.
    """
    picture = draw_sample()
    return tuple(_examine(engine, preset, picture, cancel) for preset in PRESETS)


def all_good(outcomes: Sequence[Outcome]) -> bool:
    return bool(outcomes) and all(outcome.good for outcome in outcomes)


def _examine(engine: Engine, preset: str, picture: ImageArray, cancel: Cancel) -> Outcome:
    began = time.monotonic()
    try:
        treated = engine.colorize(picture.copy(), Order(preset), no_progress, cancel)
    except HeliochromeError as error:
        if isinstance(error, Cancelled) or (isinstance(error, EngineAway) and not error.begun):
            raise
        return Outcome(preset, False, str(error))
    seconds = time.monotonic() - began
    if fault := _fault(picture, treated.image):
        return Outcome(preset, False, fault)
    height, width = picture.shape[:2]
    text = f"A picture of {width} x {height} was coloured, with getting ready, in {seconds:.1f} s."
    return Outcome(preset, True, text)


def _fault(before: ImageArray, after: ImageArray) -> str | None:
    """(H, W, 3) uint8 sRGB, both. None where nothing is wrong."""
    if after.shape != before.shape or after.dtype != before.dtype:
        return f"The result is {after.shape} {after.dtype}, not {before.shape} {before.dtype}."
    moved = float(np.abs(lightness(after) - lightness(before)).max())
    if moved > _LIGHTNESS:
        return f"The brightness changed by {moved:.1f} of 100, and must not change."
    if float((np.ptp(after, axis=-1) > _COLOUR).mean()) < _SHARE:
        return "The result has no colour: the model file does not do what it should."
    return None


class KeptSelfTest:
    """The one of a server's worker, which is made once for each start of the server."""

    def __init__(self, queue: Queue) -> None:
        """Raises OutputFailed."""
        self._queue = queue
        self._found: tuple[Outcome, ...] = ()
        if self._kept() == _AT_IT:  # so a worker before this one was, and has ended
            self._found = tuple(Outcome(preset, False, _ENDED) for preset in PRESETS)

    def forget(self) -> None:
        """When the server starts or ends: model and machine may be other ones next time."""
        if self._kept():
            self._keep("")

    def outcomes(self) -> tuple[Outcome, ...]:
        """Empty as long as there are none."""
        kept = self._kept()
        return () if kept in ("", _AT_IT) else tuple(Outcome(**one) for one in json.loads(kept))

    def make(self, engine: Engine, cancel: Cancel) -> tuple[Outcome, ...]:
        """The outcomes, made now if there are none; but not again what has ended a worker.

        Raises EngineAway, OutputFailed, and what `cancel` raises; asked again, it goes on.
        """
        if known := self.outcomes():
            return known
        if not self._found:
            self._keep(_AT_IT)
            try:
                self._found = examine(engine, cancel)
            except HeliochromeError:
                self._keep("")
                raise
        self._keep(json.dumps([asdict(outcome) for outcome in self._found]))
        return self._found

    def _kept(self) -> str:
        return self._queue.engine().get(_FACT, "")

    def _keep(self, text: str) -> None:
        self._queue.tell_engine(**{_FACT: text})
