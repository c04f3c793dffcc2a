"""What this process keeps from one request to the next."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from ..core.errors import BadSetting
from ..core.jobs import Cancel
from ..diffusion.worker import Tell, Worker
from .models import Models
from .refusals import OutOfTime, Refusal
from .settings import HandlerSettings

_Result = TypeVar("_Result")


class Service:
    """Settings, models, and the thread that works for one request at a time.

    What cannot be interrupted there (a model that is opened, one pass of a large network) does
    not keep the caller from answering in time.
    """

    def __init__(self, settings: HandlerSettings) -> None:
        self.settings = settings
        self.models = Models(settings)
        self._worker = Worker("heliochrome-handler")

    def run(self, work: Callable[[Cancel], _Result], cancel: Cancel) -> _Result:
        """What `work` gives, once it is its turn. It gets a `Cancel` for its own thread.

        Raises what it raises, and what `cancel` raises; then `work` goes on alone until it looks
        at its own, and what it has opened by then is there for the next request.
        """

        def job(_: Tell, stop: threading.Event) -> _Result:
            def given_up() -> None:
                if stop.is_set():
                    raise OutOfTime("Nobody waits for this any longer.")

            given_up()
            return work(given_up)

        return self._worker.run(job, cancel=cancel)

    def open_models(self, cancel: Cancel) -> None:
        """The network that this function is for. Work, for `run`. Raises what `Models` raises."""
        if self.settings.event_source is not None:
            self.models.colorizer(cancel)
        if self.settings.diffusion_model is not None:
            self.models.generator(cancel)

    def close(self) -> None:
        """Wait for the work that goes on, and let go of the models."""
        self._worker.close()
        self.models.close()

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Service:
        """Raises Refusal: what the operator set is none of the caller's faults."""
        try:
            return cls(HandlerSettings.from_environ(environ))
        except BadSetting as error:
            raise Refusal("not_configured", str(error)) from error


def _require_home(cache: Path) -> None:
    """OpenVINO fails for a user without one."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(cache)


_making = threading.Lock()
_service: Service | None = None


def the_service() -> Service:
    """This process's one, made from the environment when it is first asked for."""
    global _service
    with _making:
        if _service is None:
            _service = Service.from_environ()
            _require_home(_service.settings.cache)
        return _service
