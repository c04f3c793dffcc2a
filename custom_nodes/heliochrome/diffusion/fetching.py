"""Bring a model's folder here: file after file, resumable, checked; whole or not there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.disk import (
    PART,
    hash_file,
    publish_folder,
    read_json,
    require_room,
    write_json,
    writing,
)
from ..core.download import Remote, download, look
from ..core.errors import ChecksumMismatch, DownloadFailed
from ..core.jobs import Cancel, Progress
from ..core.ledger import Ledger
from ..core.model_folders import only_one
from ..core.object_stores import is_safe
from ..core.store import ModelStore
from .address import Address
from .layout import layout_of, require_whole
from .manifest import MANIFEST, FileNote, Manifest, parse_manifest
from .model import INDEX


@dataclass(frozen=True)
class _Wanted:
    """One file to come. sha256: hex, where known, and witness: who knows it.

    remembered: the witness is this machine, which saw the file here before.
    """

    name: str
    size: int
    etag: str | None
    sha256: str | None = None
    witness: str = ""
    remembered: bool = False


def fetch(
    store: ModelStore,
    address: Address,
    find: Callable[[], Path | None],
    progress: Progress,
    cancel: Cancel,
    accept_change: bool = False,
) -> Path:
    """The model at `address` as a folder in the store's first folder that can be written.

    What has arrived is kept in a hidden folder, also when the process is killed, and continued
    by the next call. `find` looks whether another process has brought it meanwhile.
    accept_change: the files may differ from those that this address gave before. `progress`
    counts bytes of the whole model. Raises `DownloadFailed` (`CannotWrite` if the disk is at
    fault), `ChecksumMismatch`, `BadWeights`, `BadSetting`, and what `cancel` raises.
    """
    if not is_safe(address.endpoint):
        raise DownloadFailed(
            f"{address.url}: not fetched over plain http, because nothing would show that the "
            "model was changed on the way. Use an https address, or copy the folder yourself."
        )
    folder = store.download_folder()
    with only_one(folder, address.own_name, cancel):
        found = find()
        if found is not None:
            return found
        staging = folder / f".{address.own_name}{PART}"
        ledger = Ledger(store.cache)
        fetching = _Fetching(
            store, address, staging, None if accept_change else ledger, progress, cancel
        )
        manifest = fetching.run()
        require_whole(staging)
        with writing(staging):
            write_json(staging / MANIFEST, manifest.to_json())
            try:
                target = publish_folder(staging, folder / address.name)
            except FileExistsError:
                target = publish_folder(staging, folder / address.own_name)
        fetching.forget()
        for name, note in manifest.files.items():
            ledger.remember_sha256(target / name, note.sha256)
            ledger.record_first_use(f"{address.url}/{name}", note.sha256, address.url)
    return target


class _Fetching:
    """One run of bringing the files to `staging`."""

    def __init__(
        self,
        store: ModelStore,
        address: Address,
        staging: Path,
        known: Ledger | None,
        progress: Progress,
        cancel: Cancel,
    ) -> None:
        self._patience, self._address, self._staging = store.settings.patience, address, staging
        self._known, self._progress, self._cancel = known, progress, cancel
        self._notes = staging.with_name(f"{staging.name}.json")  # what is whole already

    def run(self) -> Manifest:
        with writing(self._staging):
            self._staging.mkdir(exist_ok=True)
        wanted = self._wanted()
        arrived = self._still_good(wanted)
        total = sum(file.size for file in wanted)
        done = sum(note.size for note in arrived.values())
        begun = sum(path.stat().st_size for path in self._staging.rglob("*.part"))
        require_room(self._staging, total - done - begun)
        for file in wanted:
            if file.name not in arrived:
                arrived[file.name] = self._bring(file, done, total)
                done += file.size
                self._note(wanted, arrived)
        for path in self._staging.rglob("*"):
            # Of an earlier run, when the server had another model.
            if path.is_file() and path.relative_to(self._staging).as_posix() not in arrived:
                path.unlink()
        self._progress(total, total)
        return Manifest(self._address.url, arrived)

    def forget(self) -> None:
        """The model has its place: nothing is to be continued."""
        self._notes.unlink(missing_ok=True)

    def _wanted(self) -> list[_Wanted]:
        """What is to come; the largest first, which is the most likely not to arrive."""
        given = self._given_manifest()
        if given is not None:
            files = [
                _Wanted(name, note.size, None, note.sha256, f"{self._address.url}/{MANIFEST}")
                for name, note in given.files.items()
            ]
        else:
            files = self._looked_at()
        return sorted(files, key=lambda file: -file.size)

    def _given_manifest(self) -> Manifest | None:
        """The publisher's own manifest, which says at once what there is."""
        if look(self._remote(MANIFEST), patience=self._patience, cancel=self._cancel) is None:
            return None
        path = self._fresh(MANIFEST)
        manifest = parse_manifest(path.read_bytes(), f"{self._address.url}/{MANIFEST}")
        path.unlink()
        return manifest

    def _looked_at(self) -> list[_Wanted]:
        """Without a manifest: the layout's files, as far as the server has them.

        Nothing is listed: names from a listing could lead anywhere, and S3's right to list is
        not needed.
        """
        origin = f"{self._address.url}/{INDEX}"
        if look(self._remote(INDEX), patience=self._patience, cancel=self._cancel) is None:
            raise DownloadFailed(
                f"{origin} is not there, or may not be read: this is not the folder of a model in "
                "the layout of openvino-genai."
            )
        layout = layout_of(self._fresh(INDEX).read_bytes(), origin)
        wanted, lost = [], []
        for name in layout.files:
            head = look(self._remote(name), patience=self._patience, cancel=self._cancel)
            if head is not None and head.size > 0:
                wanted.append(self._expected(name, head.size, head.etag))
            elif name in layout.required:
                lost.append(name)
        if lost:
            raise DownloadFailed(
                f"{self._address.url} is not a whole model: it has no {', '.join(lost)}."
            )
        return wanted

    def _expected(self, name: str, size: int, etag: str | None) -> _Wanted:
        seen = self._known and self._known.first_use(f"{self._address.url}/{name}")
        if not seen:
            return _Wanted(name, size, etag)
        return _Wanted(name, size, etag, seen.sha256, seen.witness, remembered=True)

    def _fresh(self, name: str) -> Path:
        """A small file, fetched anew: what an earlier run has left may be of another model."""
        path = self._staging / name
        path.unlink(missing_ok=True)
        download(self._remote(name), path, patience=self._patience, cancel=self._cancel)
        return path

    def _bring(self, file: _Wanted, done: int, total: int) -> FileNote:
        target = self._staging / file.name
        with writing(target):
            target.parent.mkdir(exist_ok=True)
            target.unlink(missing_ok=True)
        try:
            digest = download(
                self._remote(file.name, file),
                target,
                patience=self._patience,
                progress=lambda part, _: self._progress(done + part, total),
                cancel=self._cancel,
            )
        except ChecksumMismatch as error:
            if not file.remembered:
                raise
            raise ChecksumMismatch(
                f"{error} If the publisher has changed the model, run `heliochrome sd get "
                f"{self._address.url} --accept-change`."
            ) from error
        return FileNote(file.size, digest)

    def _remote(self, name: str, file: _Wanted | None = None) -> Remote:
        endpoint = self._address.endpoint
        if file is None:
            return Remote(endpoint, name)
        return Remote(endpoint, name, file.size, file.sha256, file.witness, file.etag)

    def _still_good(self, wanted: list[_Wanted]) -> dict[str, FileNote]:
        """Whole files of an earlier run that the server still has unchanged."""
        notes: Any = read_json(self._notes)
        kept = {}
        for file in wanted:
            path, note = self._staging / file.name, notes.get(file.name)
            if not isinstance(note, dict) or not path.is_file():
                continue
            sha256 = str(note.get("sha256"))
            same = (
                sha256 == file.sha256
                if file.etag is None
                else note.get("etag") == file.etag and file.sha256 in (None, sha256)
            )
            if (
                same
                and path.stat().st_size == file.size
                and hash_file(path, cancel=self._cancel) == sha256
            ):
                kept[file.name] = FileNote(file.size, sha256)
        return kept

    def _note(self, wanted: list[_Wanted], arrived: dict[str, FileNote]) -> None:
        etags = {file.name: file.etag for file in wanted}
        entries = {
            name: {"sha256": note.sha256, "etag": etags[name]} for name, note in arrived.items()
        }
        with writing(self._notes):
            write_json(self._notes, entries)
