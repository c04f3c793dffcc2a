"""From a name, a folder or an address to a diffusion model's folder on this machine."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import BadSetting, BadWeights, ModelNotFound
from ..core.jobs import Cancel, Progress, never_cancel, no_progress
from ..core.model_folders import listed
from ..core.object_stores import SCHEMES
from ..core.paths import from_user
from ..core.store import ModelStore
from .address import Address, parse_address
from .fetching import fetch
from .layout import is_model, require_whole
from .manifest import Manifest, check, describe, read_manifest
from .model import read_model


def find_diffusion_models(store: ModelStore) -> dict[str, Path]:
    """Every diffusion model in the store's folders by its name, which is its folder's.

    The first of a name counts, as for all models. Quick: only looks for model_index.json.
    Folders that are missing or cannot be read are passed.
    """
    found: dict[str, Path] = {}
    for folder in store.folders:
        try:
            inside = sorted(folder.iterdir())
        except OSError:
            continue
        for path in inside:
            if not path.name.startswith(".") and is_model(path):
                found.setdefault(path.name, path)
    return found


def resolve(
    store: ModelStore,
    name_or_url: str,
    *,
    progress: Progress = no_progress,
    cancel: Cancel = never_cancel,
    download: bool = False,
    accept_change: bool = False,
    thorough: bool = True,
) -> Path:
    """The folder of a model given by name, by path (an EFS mount, too) or by address.

    Addresses: s3://bucket/prefix, oss://bucket/prefix, https://host/folder, and a model's page
    at Hugging Face. One that is not here is fetched only if `download`, and not if the store is
    offline. accept_change: what comes may differ from what the address gave before (see
    `fetching.fetch`). A folder with a manifest is checked against it (digests are computed once,
    and again when a file changes), or only its sizes if not `thorough`: reading gigabytes is too
    much for a cold start. `progress` counts bytes. Raises `ModelNotFound`, `BadSetting`,
    `BadWeights`, `ChecksumMismatch`, `DownloadFailed`, and what `cancel` raises.
    """
    if "://" in name_or_url:
        address = parse_address(name_or_url, store.settings.endpoints)
        found = _here(store, address)
        if found is None:
            _require_leave(store, address, download)
            # Every byte was hashed on its way, so nothing is left to check.
            return fetch(
                store, address, lambda: _here(store, address), progress, cancel, accept_change
            )
    else:
        found = _folder(store, name_or_url)
    require_whole(found)
    manifest = read_manifest(found)
    if manifest is not None:
        check(found, manifest, store.sha256 if thorough else None, progress, cancel)
    return found


def digest(
    store: ModelStore,
    folder: Path,
    progress: Progress = no_progress,
    cancel: Cancel = never_cancel,
) -> str:
    """SHA-256 (hex) over all files of a model, for provenance: that of its manifest, whether it
    has one or not. Without one every file is read the first time; `progress` counts bytes."""
    return content(store, folder, str(folder), progress, cancel).sha256


def content(
    store: ModelStore,
    folder: Path,
    origin: str,
    progress: Progress = no_progress,
    cancel: Cancel = never_cancel,
) -> Manifest:
    """The folder's manifest, or the one it would have. Raises `BadWeights`."""
    found = read_manifest(folder)
    if found is not None:
        return found
    names = require_whole(folder).files
    return describe(folder, names, origin, store.sha256, progress, cancel)


def _folder(store: ModelStore, name: str) -> Path:
    known = find_diffusion_models(store)
    if name in known:
        return known[name]
    if not name.strip() or "\0" in name:
        raise BadSetting(f"Name a model, give its folder or its address; got {name!r}.")
    path = from_user(name)
    if is_model(path):
        return path
    if path.is_dir():
        read_model(path)  # which says what is wrong, and what a folder in the old layout needs
    there = f"There are: {', '.join(known)}." if known else "There is none yet."
    raise ModelNotFound(
        f"{name!r} is neither a folder nor a diffusion model in {listed(store.folders)}. {there} "
        f"Give a folder, or an address that begins with {', '.join(SCHEMES)} to "
        "`heliochrome sd get`."
    )


def _here(store: ModelStore, address: Address) -> Path | None:
    """The model that came from this address before."""
    for folder in find_diffusion_models(store).values():
        try:
            manifest = read_manifest(folder)
        except BadWeights:  # another model's; it is told when that one is asked for
            continue
        if manifest is not None and manifest.origin == address.url:
            return folder
    return None


def _require_leave(store: ModelStore, address: Address, download: bool) -> None:
    """Raise `ModelNotFound` if nothing may be fetched."""
    if store.settings.offline:
        raise ModelNotFound(
            f"{address.url} is not on this machine, and HELIOCHROME_OFFLINE is set, so nothing is "
            "downloaded: copy the model's folder here and give its path, or unset "
            "HELIOCHROME_OFFLINE."
        )
    if not download:
        raise ModelNotFound(
            f"{address.url} is not on this machine. Get it with `heliochrome sd get {address.url}`."
        )
