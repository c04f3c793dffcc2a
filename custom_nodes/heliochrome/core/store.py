"""Model files on this machine: find, download, import, verify."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .catalog import Catalog, FileSource, ModelSpec, load_catalog
from .disk import CannotWrite, hash_file
from .download import Patience, Remote, Unreachable, download
from .endpoints import Endpoints
from .errors import BadSetting, BadWeights, ChecksumMismatch, DownloadFailed, ModelNotFound
from .importing import copy_in
from .jobs import Cancel, Progress, never_cancel, no_progress
from .ledger import Ledger
from .model_folders import listed, locate, only_one, sweep, writable_folder
from .paths import from_user, user_cache
from .verification import State, Verification, contradiction, enforce_from_now_on, judge


@dataclass(frozen=True)
class StoreSettings:
    """offline: never open a connection. endpoints: where the hosts are. patience: retries."""

    offline: bool = False
    endpoints: Endpoints = field(default_factory=Endpoints)
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True)
class ModelStatus:
    """What is known of one model without reading its file.

    size: bytes of the file, or of the download if it is missing; None if not known.
    state: unchecked if the file's digest has not been computed since it last changed.
    advice: what to do about it, or None.
    """

    spec: ModelSpec
    path: Path | None
    size: int | None
    state: State | Literal["missing", "unchecked"]
    advice: str | None


class ModelStore:
    """Looks in `folders`, then in `cache`/models.

    Folders may be read-only: nothing is written there, and downloads and imports go to the
    first folder that can be written. `cache` also holds what can be made again: exports,
    compiled networks, measurements.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        cache: Path,
        settings: StoreSettings = StoreSettings(),
        catalog: Catalog | None = None,
    ) -> None:
        self.folders: tuple[Path, ...] = (*folders, cache / "models")
        self.cache = cache
        self.settings = settings
        self.catalog = catalog or load_catalog()
        self._ledger = Ledger(cache)

    @classmethod
    def from_environ(
        cls, environ: Mapping[str, str] = os.environ, extra_folders: Sequence[Path] = ()
    ) -> ModelStore:
        """Read HELIOCHROME_MODELS (folders, separated as in PATH), HELIOCHROME_CACHE,
        HELIOCHROME_OFFLINE=1, HELIOCHROME_CATALOG (a catalogue file of your own) and the
        endpoints (see `Endpoints`). `extra_folders`, such as the host's, are searched after
        HELIOCHROME_MODELS. Raises `BadSetting`.
        """
        named = environ.get("HELIOCHROME_MODELS", "").split(os.pathsep)
        cache = environ.get("HELIOCHROME_CACHE")
        catalog = environ.get("HELIOCHROME_CATALOG")
        return cls(
            [*(from_user(item) for item in named if item.strip()), *extra_folders],
            from_user(cache) if cache else _own_cache(),
            StoreSettings(
                offline=environ.get("HELIOCHROME_OFFLINE", "") not in ("", "0"),
                endpoints=Endpoints.from_environ(environ),
            ),
            load_catalog(from_user(catalog)) if catalog else None,
        )

    def find(self, model_id: str) -> Path:
        """The model's file. Never downloads; `ModelNotFound` says how to get it."""
        spec = self.catalog[model_id]
        path = locate(self.folders, spec.id)
        if path is None:
            raise ModelNotFound(f"{self._missing(spec)} Get it with `{_command('get', spec)}`.")
        return path

    def get(
        self, model_id: str, progress: Progress = no_progress, cancel: Cancel = never_cancel
    ) -> Path:
        """The model's file with its digest checked, downloaded if it is missing.

        `progress` counts bytes. Raises `ModelNotFound` (missing, and offline),
        `DownloadFailed` or `ChecksumMismatch` (with the reason of every source), and what
        `cancel` raises.
        """
        spec = self.catalog[model_id]
        path = locate(self.folders, spec.id)
        if path is None:
            if self.settings.offline:
                raise ModelNotFound(
                    f"{self._missing(spec)} HELIOCHROME_OFFLINE is set, so nothing is downloaded: "
                    f"copy the file to this machine and run `heliochrome models import {spec.id} "
                    "FILE`, or unset HELIOCHROME_OFFLINE."
                )
            folder = self.download_folder()
            with only_one(folder, spec.id, cancel):
                # Another process may have brought it while this one waited.
                path = locate(self.folders, spec.id) or self._download(
                    spec, folder, progress, cancel
                )
        outcome = self._judge(spec, path, self._ledger.sha256(path, progress, cancel))
        if not outcome.ok:
            raise ChecksumMismatch(outcome.text)
        return path

    def import_file(
        self,
        path: Path,
        model_id: str,
        progress: Progress = no_progress,
        cancel: Cancel = never_cancel,
    ) -> Path:
        """Copy a file the user has into the store; the original is left alone.

        Raises `BadWeights` (not a weights file, or torch is installed and it is not a DDColor
        state dict) or `ChecksumMismatch` (not the official file). Where no digest is
        published the one it has is recorded, in place of an older record: importing is the
        user's word that the file is good.
        """
        spec = self.catalog[model_id]
        target, digest = copy_in(path, spec, self.catalog, self.download_folder(), progress, cancel)
        self._ledger.remember_sha256(target, digest)
        if digest not in spec.known_sha256:
            self._ledger.record_first_use(target.name, digest, str(path.resolve()))
        return target

    def verify(
        self, model_id: str, progress: Progress = no_progress, cancel: Cancel = never_cancel
    ) -> Verification:
        """Read the whole file again and judge it. Raises `ModelNotFound`."""
        path = self.find(model_id)
        digest = hash_file(path, progress, cancel)
        self._ledger.remember_sha256(path, digest)
        return self._judge(self.catalog[model_id], path, digest)

    def check(self, model_id: str, path: Path) -> Verification:
        """Judge a file as `model_id`, without reading it again if it has not changed."""
        return self._judge(self.catalog[model_id], path, self._ledger.sha256(path))

    def status(self) -> list[ModelStatus]:
        """Every model of the catalogue. Quick: relies on digests computed before."""
        return [self._status(spec) for spec in self.catalog.models.values()]

    def sha256(
        self, path: Path, progress: Progress = no_progress, cancel: Cancel = never_cancel
    ) -> str:
        """SHA-256 (hex) of a model file, remembered until its size, time or inode changes."""
        return self._ledger.sha256(path, progress, cancel)

    def download_folder(self) -> Path:
        """Where downloads and imports go. Raises `CannotWrite`, a `DownloadFailed`."""
        return writable_folder(self.folders)

    def _download(self, spec: ModelSpec, folder: Path, progress: Progress, cancel: Cancel) -> Path:
        failures: list[DownloadFailed | ChecksumMismatch | BadWeights] = []
        gone: set[str] = set()
        for source in spec.sources:
            if source.host in gone:
                continue
            target = folder / f"{spec.id}{source.suffix}"
            try:
                remote = self._remote(source, target.name)
                digest = download(
                    remote,
                    target,
                    patience=self.settings.patience,
                    progress=progress,
                    cancel=cancel,
                )
            except CannotWrite:
                raise
            except (DownloadFailed, ChecksumMismatch, BadWeights) as error:
                failures.append(error)
                if isinstance(error, Unreachable):
                    gone.add(source.host)
                continue
            against = contradiction(self.catalog, spec, target.suffix, digest)
            if against:
                target.unlink()
                failures.append(ChecksumMismatch(f"{remote.url}: {against}. It was removed."))
                continue
            sweep(folder, spec.id)
            self._ledger.remember_sha256(target, digest)
            if digest not in spec.known_sha256:
                self._ledger.record_first_use(target.name, digest, remote.url)
            return target
        refused = any(isinstance(error, ChecksumMismatch) for error in failures)
        reasons = "".join(f"\n  {error}" for error in failures)
        raise (ChecksumMismatch if refused else DownloadFailed)(
            f"{spec.id} could not be downloaded:{reasons}\n"
            "Check the network, name a mirror with HELIOCHROME_HF_ENDPOINT (for example "
            "https://hf-mirror.com), or download the file in a browser and run "
            f"`heliochrome models import {spec.id} FILE`."
        )

    def _remote(self, source: FileSource, name: str) -> Remote:
        endpoint = self.settings.endpoints.of(source)
        seen = None if source.sha256 else self._ledger.first_use(name)
        if seen is None:
            return Remote(endpoint, source.path, source.size, source.sha256)
        return Remote(endpoint, source.path, source.size, seen.sha256, seen.witness)

    def _judge(self, spec: ModelSpec, path: Path, digest: str) -> Verification:
        outcome = judge(self.catalog, self._ledger, spec, path, digest)
        return enforce_from_now_on(self._ledger, spec, outcome)

    def _status(self, spec: ModelSpec) -> ModelStatus:
        path = locate(self.folders, spec.id)
        if path is None:
            return ModelStatus(spec, None, spec.size, "missing", _command("get", spec))
        size = path.stat().st_size
        digest = self._ledger.remembered_sha256(path)
        if digest is None:
            return ModelStatus(spec, path, size, "unchecked", _command("verify", spec))
        outcome = judge(self.catalog, self._ledger, spec, path, digest)
        return ModelStatus(spec, path, size, outcome.state, None if outcome.ok else outcome.text)

    def _missing(self, spec: ModelSpec) -> str:
        return f"{spec.id} is not on this machine (searched {listed(self.folders)})."


def _command(verb: str, spec: ModelSpec) -> str:
    return f"heliochrome models {verb} {spec.id}"


def _own_cache() -> Path:
    found = user_cache()
    if found is None:
        raise BadSetting("This user has no home folder: set HELIOCHROME_CACHE to a folder.")
    return found
