"""The two networks of this process, opened when they are first needed and kept."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ..core.errors import BadSetting
from ..core.jobs import Cancel
from ..core.loading import LoadedModel, open_model
from ..core.store import ModelStore
from ..diffusion.engine import Engine, open_engine
from ..diffusion.manifest import read_manifest
from ..diffusion.sources import resolve
from .refusals import Refusal
from .settings import HandlerSettings


@dataclass(frozen=True)
class Generator:
    """sha256: of the model's manifest, None where it has none: reading gigabytes for a record
    would take a cold start too long."""

    engine: Engine
    sha256: str | None


class Models:
    """One that could not be opened is tried again by the next request. Not for many threads."""

    def __init__(self, settings: HandlerSettings) -> None:
        self._settings = settings
        self._store: ModelStore | None = None
        self._generator: Generator | None = None
        self._colorizer: LoadedModel | None = None

    def generator(self, cancel: Cancel) -> Generator:
        """Raises Refusal (none is configured, or it cannot be opened so), and what
        `diffusion.resolve` and `open_engine` raise."""
        if self._generator is None:
            name = self._settings.diffusion_model
            if name is None:
                raise Refusal(
                    "not_configured",
                    "Nothing is generated here, as HELIOCHROME_DIFFUSION_MODEL names no model.",
                )
            try:
                # An address in the settings is the operator's word that it may be fetched.
                # Its sizes only: a cold start must not read gigabytes.
                folder = resolve(self._models(), name, cancel=cancel, download=True, thorough=False)
                engine = open_engine(
                    folder, device=self._settings.device, cache=self._settings.cache
                )
            except BadSetting as error:
                raise Refusal("not_configured", str(error)) from error
            manifest = read_manifest(folder)
            self._generator = Generator(engine, manifest.sha256 if manifest else None)
        return self._generator

    def colorizer(self, cancel: Cancel) -> LoadedModel:
        """Raises Refusal, and what `ModelStore.get` and `open_model` raise."""
        if self._colorizer is None:
            settings = self._settings
            try:
                store = self._models()
                if settings.download and settings.color_model in store.catalog.models:
                    store.get(settings.color_model, cancel=cancel)
                self._colorizer = open_model(store, settings.color_model, settings.color_backend)
            except BadSetting as error:
                raise Refusal("not_configured", str(error)) from error
        return self._colorizer

    def close(self) -> None:
        """Let go of both."""
        if self._generator is not None:
            self._generator.engine.close()
        if self._colorizer is not None:
            self._colorizer.backend.close()
        self._generator = self._colorizer = None

    def _models(self) -> ModelStore:
        if self._store is None:
            environ = {**os.environ, "HELIOCHROME_CACHE": str(self._settings.cache)}
            self._store = ModelStore.from_environ(environ)
        return self._store
