"""What the runtime says while it works, carried to the caller's own thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..core.errors import Cancelled
from ..core.jobs import Progress
from ..core.lab import FloatArray
from .latent_preview import latent_preview


class Preview(Protocol):
    """Called with a rough picture, (h, w, 3) uint8 sRGB, an eighth of the size, as it forms.

    done and total count steps as `Progress` does.
    """

    def __call__(self, image: NDArray[np.uint8], done: int, total: int) -> None: ...


@dataclass(frozen=True)
class Step:
    """Steps done of one picture. latents: (4, h, w), only if a preview is wanted."""

    done: int
    latents: FloatArray | None


class StepWatch:
    """The callback for OpenVINO GenAI: tells each step, and says when to stop.

    It is called on a thread of the library's. An exception there would end the process, so none
    leaves it: `failure` keeps it.
    """

    def __init__(
        self, tell: Callable[[Step], None], stop: threading.Event, *, latents: bool
    ) -> None:
        self._tell = tell
        self._stop = stop
        self._latents = latents
        self.failure: BaseException | None = None

    def __call__(self, step: int, steps: int, latents: Any) -> bool:
        try:
            seen = np.array(latents.data[0], np.float32) if self._latents else None
            self._tell(Step(step + 1, seen))
        except BaseException as error:  # noqa: BLE001  # kept, and raised by the engine
            self.failure = error
            return True
        return self._stop.is_set()

    def require_going(self) -> None:
        """Raise Cancelled if somebody asked for the end; nobody waits for what is made then."""
        if self._stop.is_set():
            raise Cancelled("stopped between two steps.")


class Reporter:
    """Turns the steps of several pictures into progress and previews, on the caller's thread."""

    def __init__(
        self, steps: int, pictures: int, progress: Progress, preview: Preview | None
    ) -> None:
        self._steps = steps
        self._total = steps * pictures
        self._before = 0  # steps of the pictures that are finished
        self._done = -1
        self._progress = progress
        self._preview = preview
        self._report(0)

    def step(self, step: Step) -> None:
        done = self._before + step.done
        if self._preview is not None and step.latents is not None:
            self._preview(latent_preview(step.latents), done, self._total)
        self._report(done)

    def picture(self) -> None:
        """One is finished. The library drops a report now and then."""
        self._before += self._steps
        self._report(self._before)

    def _report(self, done: int) -> None:
        while self._done < done:
            self._done += 1
            self._progress(self._done, self._total)
