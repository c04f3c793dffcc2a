"""The network in the worker's own process."""

from __future__ import annotations

import logging

from ..core.errors import HeliochromeError, ModelNotFound
from ..core.jobs import Cancel, Progress
from ..core.loading import LoadedModel, open_model, weights_state
from ..core.photo.model import Pixels
from ..core.recipe import Recipe
from ..core.store import ModelStore
from ..core.treatment import Colorization, Treated, Treatment, WarmTone
from .engine import model_missing
from .records import Order

_log = logging.getLogger("heliochrome.studio")


class LocalEngine:
    """The model is opened for the first photograph, and anew when its file has changed."""

    name = "local"

    def __init__(self, model: str, backend: str) -> None:
        self._model, self._backend = model, backend
        self._open: LoadedModel | None = None
        self._state: object = None

    def ready(self) -> None:
        """Always."""

    def colorize(self, pixels: Pixels, order: Order, progress: Progress, cancel: Cancel) -> Treated:
        treatment: Treatment = (
            WarmTone() if order.preview else Colorization(self._network(), Recipe(order.preset))
        )
        return treatment.apply(pixels, progress, cancel, out=pixels)

    def _network(self) -> LoadedModel:
        try:
            if self._open is not None and weights_state(self._open.path) != self._state:
                self.close()
            if self._open is None:
                opened = open_model(ModelStore.from_environ(), self._model, self._backend)
                self._open, self._state = opened, weights_state(opened.path)
        except (HeliochromeError, OSError) as error:
            if isinstance(error, HeliochromeError) and error.code != ModelNotFound.code:
                raise
            _log.error("%s", error)
            raise model_missing(self._model) from error
        return self._open

    def close(self) -> None:
        if self._open is not None:
            self._open.backend.close()
        self._open = None
