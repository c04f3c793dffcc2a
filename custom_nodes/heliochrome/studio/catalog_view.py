"""Whether the model that jobs use is on this machine, for the page to say so beforehand."""

from __future__ import annotations

from typing import Any

from ..core.errors import HeliochromeError
from ..core.paths import from_user
from ..core.store import ModelStore
from .engine import model_missing
from .settings import StudioSettings


class ModelView:
    def __init__(self, settings: StudioSettings) -> None:
        self._name, self._elsewhere = settings.model, settings.comfyui is not None

    def json(self) -> dict[str, Any]:
        """available: None where only ComfyUI knows. advice: how to get it."""
        available: bool | None = None
        advice = None
        if not self._elsewhere:
            available, advice = self._look()
        return {"id": self._name, "available": available, "advice": advice}

    def _look(self) -> tuple[bool, str | None]:
        try:
            store = ModelStore.from_environ()
            if self._name in store.catalog.models:
                store.find(self._name)
                return True, None
            return from_user(self._name).is_file(), None
        except HeliochromeError:
            return False, str(model_missing(self._name))
