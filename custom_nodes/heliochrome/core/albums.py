"""Many photographs into one folder: names and subfolders kept, nothing lost or done twice."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from .disk import hash_file
from .errors import BadImage, Cancelled, HeliochromeError, OutOfMemory, OutputExists
from .jobs import Cancel, Progress, no_progress
from .photo import SUFFIXES, describe, read_photo, result_record, write_photo
from .provenance import SOURCE_SHA256, Provenance
from .treatment import Treatment

_log = logging.getLogger("heliochrome")

# What a folder is searched for. A file that is named is tried whatever its ending.
PHOTO_SUFFIXES: Final = frozenset(
    (*(ending for endings in SUFFIXES.values() for ending in endings), ".bmp", ".gif")
)


@dataclass(frozen=True)
class Task:
    """One photograph and the file that is made of it."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Plan:
    """The work, listed before it starts. left_out: files in folders that are no photographs
    by their ending; our own earlier results are not named."""

    tasks: tuple[Task, ...]
    left_out: tuple[Path, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of one task. `text` is for the user; `notices` say what was changed for them."""

    source: Path
    target: Path | None
    status: Literal["done", "skipped", "failed"]
    text: str = ""
    notices: tuple[str, ...] = ()
    network_extent: str | None = None
    provenance: Provenance | None = None
    seconds: float = 0.0


def plan(sources: Sequence[Path], out: Path, name_suffix: str = "") -> Plan:
    """List the work. Folders are searched with their subfolders, hidden files left out.

    A result keeps the photograph's name; the ending follows the content (a PNG called .jpg
    becomes .png, a BMP becomes .png). Raises BadImage (nothing there) and OutputExists (two
    photographs would become one file, or results would go among the originals).
    """
    if out.exists() and not out.is_dir():
        raise OutputExists(f"{out} is a file: name a folder for the results.")
    if out.suffix.lower() in PHOTO_SUFFIXES and not out.exists():
        raise OutputExists(f"{out} looks like a photograph's name: -o names a folder for results.")
    named: list[tuple[Path, Path]] = []  # source, its place below `out`
    left_out: list[Path] = []
    for source in sources:
        if source.is_dir():
            found, other = _in_folder(source, out)
            named += [(path, path.relative_to(source)) for path in found]
            left_out += other
        elif os.path.lexists(source):
            named.append((source, Path(source.name)))
        else:
            raise BadImage(f"{source}: there is no such file or folder.")
    if not named:
        looked = ", ".join(str(source) for source in sources) or "nothing"
        raise BadImage(f"no photographs found in {looked}: expected {_listed(PHOTO_SUFFIXES)}.")
    return Plan(_name_targets(named, out, name_suffix), tuple(left_out))


def _in_folder(folder: Path, out: Path) -> tuple[list[Path], list[Path]]:
    """Photographs, and the files that are none."""
    results = os.path.realpath(out)
    if results == os.path.realpath(folder):
        raise OutputExists(
            f"results would go among the originals in {folder}: name another folder with -o."
        )
    photographs, other = [], []
    for path in sorted(folder.rglob("*")):
        if any(part.startswith(".") for part in path.relative_to(folder).parts) or path.is_dir():
            continue
        if path.suffix.lower() not in PHOTO_SUFFIXES:
            other.append(path)
        elif not os.path.realpath(path).startswith(results + os.sep) or not result_record(path):
            photographs.append(path)
    return photographs, other


def _name_targets(
    named: Sequence[tuple[Path, Path]], out: Path, name_suffix: str
) -> tuple[Task, ...]:
    kept = {place for _, place in named}
    tasks: dict[str, Task] = {}
    # The same photograph may be named twice, as a folder and as a file.
    for source, place in {(os.path.realpath(s), p): (s, p) for s, p in named}.values():
        ending = _ending(source)
        has_ending = place.suffix.lower() in PHOTO_SUFFIXES
        if ending.lower() == place.suffix.lower():
            stem, ending = place.with_suffix(""), place.suffix
        elif has_ending and place.with_suffix(ending) not in kept:
            stem = place.with_suffix("")
        else:  # a.bmp beside a.png becomes a.bmp.png; "scan.2020" has no ending to replace
            stem = place
        target = out / stem.with_name(f"{stem.name}{name_suffix}{ending}")
        # Some file systems hold A.jpg and a.jpg to be one file.
        key = str(target).casefold()
        if key in tasks:
            raise OutputExists(
                f"{tasks[key].source} and {source} would both become {target}: "
                "colour them into different folders."
            )
        tasks[key] = Task(source, target)
    return tuple(tasks.values())


def _ending(source: Path) -> str:
    """The ending of the result's name; for what cannot be read, the one it has."""
    try:
        endings = SUFFIXES[describe(source).format]
    except BadImage:
        return source.suffix  # colouring it will say what is wrong
    return source.suffix if source.suffix.lower() in endings else endings[0]


def run(
    tasks: Sequence[Task],
    treatment: Treatment,
    *,
    overwrite: bool,
    cancel: Cancel,
    progress: Progress = no_progress,
) -> Iterator[Outcome]:
    """Do the tasks one after the other; a photograph that fails does not stop the others.

    A result that is already there is skipped, so that a stopped run can be started again.
    """
    for task in tasks:
        cancel()
        started = time.monotonic()
        try:
            outcome = _one(task, treatment, overwrite, cancel, progress)
        except Cancelled:
            raise
        except (HeliochromeError, OSError) as error:
            outcome = Outcome(task.source, None, "failed", _reason(task, error))
        except MemoryError as error:
            full = OutOfMemory(f"{task.source}: not enough memory. Close other programs.")
            _log.debug("out of memory", exc_info=error)
            outcome = Outcome(task.source, None, "failed", str(full))
        yield replace(outcome, seconds=time.monotonic() - started)


def _one(
    task: Task, treatment: Treatment, overwrite: bool, cancel: Cancel, progress: Progress
) -> Outcome:
    target = task.target
    before = describe(task.source).provenance  # an ordinary file: a pipe would never end
    digest = hash_file(task.source)
    if _is_there(target):
        _require_same_photograph(task, digest)
        if not overwrite:
            return _already_there(task)
    photo = read_photo(task.source)
    treated = treatment.apply(photo.pixels, progress, cancel, out=photo.pixels)
    cancel()
    record = treated.provenance.from_file(digest, before)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Still there and not skipped: the empty file that a killed run leaves on some disks.
        replacing = overwrite or os.path.lexists(target)
        write_photo(target, treated.image, photo, record, overwrite=replacing)
    except OutputExists:
        if overwrite:
            raise
        return _already_there(task)  # another run was quicker
    return Outcome(
        task.source,
        target,
        "done",
        notices=(*photo.notes, *record.notices),
        network_extent=treated.network_extent,
        provenance=record,
    )


def _require_same_photograph(task: Task, digest: str) -> None:
    """Raise OutputExists if the result that is there is of another photograph."""
    found = result_record(task.target)
    if found is not None and found.parameters.get(SOURCE_SHA256, digest) != digest:
        raise OutputExists(
            f"{task.target} is the result of another photograph with the same name: colour "
            f"{task.source} into another folder."
        )


def _is_there(target: Path) -> bool:
    return os.path.lexists(target) and target.lstat().st_size > 0


def _already_there(task: Task) -> Outcome:
    text = f"{task.target} is already there: --overwrite redoes it."
    return Outcome(task.source, task.target, "skipped", text)


def _reason(task: Task, error: Exception) -> str:
    text = str(error)
    return text if str(task.source) in text else f"{task.source}: {text}"


def _listed(suffixes: frozenset[str]) -> str:
    return ", ".join(sorted(suffix.removeprefix(".") for suffix in suffixes))
