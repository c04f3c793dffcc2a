"""heliochrome-model.json: what a model folder must hold, byte for byte, and where it is from."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from ..core.errors import BadWeights, ChecksumMismatch
from ..core.jobs import Cancel, Progress, never_cancel, no_progress
from ..version import SOFTWARE

MANIFEST: Final = "heliochrome-model.json"

_FORMAT: Final = 1
_MOST_FILES: Final = 200
LONGEST: Final = 1 << 20  # bytes
# One folder deep, as the layout is, and nothing hidden: no name can lead out of the folder.
_NAME: Final = re.compile(r"(\w[\w.-]{0,99}/)?\w[\w.-]{0,99}", re.ASCII)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class FileNote:
    """size: bytes. sha256: hex."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """files: by path below the folder, with /. origin: an address, or what it was made from."""

    origin: str
    files: Mapping[str, FileNote]

    @property
    def sha256(self) -> str:
        """One digest (hex) for all files together, as provenance records it."""
        lines = [f"{note.sha256}  {name}\n" for name, note in sorted(self.files.items())]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """For `disk.write_json`."""
        return {
            "format": _FORMAT,
            "made_by": SOFTWARE,
            "origin": self.origin,
            "files": {
                name: {"size": note.size, "sha256": note.sha256}
                for name, note in sorted(self.files.items())
            },
        }


Digest = Callable[[Path, Progress, Cancel], str]


def read_manifest(folder: Path) -> Manifest | None:
    """The folder's manifest; None if it has none. Raises `BadWeights`."""
    path = folder / MANIFEST
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadWeights(f"{path} cannot be read: {error.strerror}.") from error
    return parse_manifest(text, str(path))


def parse_manifest(text: bytes, source: str) -> Manifest:
    """Raises `BadWeights` that names `source`, also for a file name that leads elsewhere."""

    def refuse(reason: str) -> BadWeights:
        return BadWeights(f"{source} is not a manifest of Heliochrome: {reason}.")

    if len(text) > LONGEST:
        raise refuse(f"it has {len(text)} bytes")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise refuse(str(error)) from error
    if not isinstance(data, dict) or data.get("format") != _FORMAT:
        raise refuse(f"format {_FORMAT} expected")
    files, origin = data.get("files"), data.get("origin")
    if not isinstance(files, dict) or not isinstance(origin, str):
        raise refuse('"files" or "origin" is missing')
    if not 0 < len(files) <= _MOST_FILES:
        raise refuse(f"1 to {_MOST_FILES} files expected, got {len(files)}")
    notes = {}
    for name, note in files.items():
        if not _NAME.fullmatch(name) or name == MANIFEST:
            raise refuse(f"{name!r} is not the name of a model's file")
        size = note.get("size") if isinstance(note, dict) else None
        digest = note.get("sha256") if isinstance(note, dict) else None
        if type(size) is not int or size < 1 or not _SHA256.fullmatch(str(digest)):
            raise refuse(f"{name} has no size or no SHA-256")
        notes[name] = FileNote(size, str(digest))
    return Manifest(origin, notes)


def describe(
    folder: Path,
    names: tuple[str, ...],
    origin: str,
    digest: Digest,
    progress: Progress = no_progress,
    cancel: Cancel = never_cancel,
) -> Manifest:
    """The manifest of what lies in `folder`; `names` that are not there are left out.

    `digest` gives a file's SHA-256 (hex); `progress` counts bytes.
    """
    there = [name for name in names if (folder / name).is_file()]
    sizes = {name: (folder / name).stat().st_size for name in there}
    done, total = 0, sum(sizes.values())
    notes = {}
    for name, size in sizes.items():
        shown = partial(_shifted, progress, done, total)
        notes[name] = FileNote(size, digest(folder / name, shown, cancel))
        done += size
        progress(done, total)
    return Manifest(origin, notes)


def _shifted(progress: Progress, before: int, total: int, done: int, _: int) -> None:
    progress(before + done, total)


def check(
    folder: Path,
    manifest: Manifest,
    digest: Digest | None,
    progress: Progress = no_progress,
    cancel: Cancel = never_cancel,
) -> None:
    """Raise `ChecksumMismatch` unless every file is the one that the manifest describes.

    Without `digest` only the sizes are compared.
    """
    advice = "Remove the folder and get or convert the model again"
    for name, note in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise ChecksumMismatch(f"{folder} is not whole: {name} is missing. {advice}.")
        size = path.stat().st_size
        if size != note.size:
            raise ChecksumMismatch(
                f"{path} has {size} bytes, but {MANIFEST} says {note.size}. {advice}, or delete "
                f"{MANIFEST} if you changed the model yourself."
            )
    if digest is None:
        return
    found = describe(folder, tuple(manifest.files), manifest.origin, digest, progress, cancel)
    for name, note in found.files.items():
        if note.sha256 != manifest.files[name].sha256:
            raise ChecksumMismatch(
                f"{folder / name} has SHA-256 {note.sha256}, but {MANIFEST} says "
                f"{manifest.files[name].sha256}. {advice}, or delete {MANIFEST} if you changed "
                "the model yourself."
            )
