"""Many photographs into one folder: names and subfolders kept, nothing lost or done twice."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from .errors import BadImage, Cancelled, HeliochromeError, OutOfMemory, OutputExists
from .jobs import Cancel, Progress, no_progress
from .photo import SUFFIXES, default_suffix, format_of_suffix, read_photo, write_photo
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
class Outcome:
    """What became of one task. `text` is for the user; `notices` say what was changed for them."""

    source: Path
    target: Path | None
    status: Literal["done", "skipped", "failed"]
    text: str = ""
    notices: tuple[str, ...] = ()
    network_extent: str | None = None
    seconds: float = 0.0


def plan(sources: Sequence[Path], out: Path, name_suffix: str = "") -> list[Task]:
    """List the work before it starts. Folders are searched with their subfolders.

    Raises BadImage (nothing there), OutputExists (two photographs would become one file,
    or `out` is a file or would put results among the originals).
    """
    if out.exists() and not out.is_dir():
        raise OutputExists(f"{out} is a file: name a folder for the results.")
    tasks: list[Task] = []
    for source in sources:
        if source.is_dir():
            tasks += _in_folder(source, out, name_suffix)
        elif source.exists():
            tasks.append(Task(source, _target(out / source.name, name_suffix)))
        else:
            raise BadImage(f"{source}: there is no such file or folder.")
    if not tasks:
        looked = ", ".join(str(source) for source in sources) or "nothing"
        raise BadImage(f"no photographs found in {looked}: expected {_listed(PHOTO_SUFFIXES)}.")
    _refuse_collisions(tasks)
    return tasks


def _in_folder(folder: Path, out: Path, name_suffix: str) -> list[Task]:
    if out.resolve() == folder.resolve():
        raise OutputExists(
            f"results would go among the originals in {folder}: name another folder with -o."
        )
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in PHOTO_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and out.resolve() not in path.resolve().parents
        and path.is_file()
    )
    return [Task(path, _target(out / path.relative_to(folder), name_suffix)) for path in found]


def _target(path: Path, name_suffix: str) -> Path:
    return path.with_name(f"{path.stem}{name_suffix}{path.suffix}")


def _refuse_collisions(tasks: Sequence[Task]) -> None:
    seen: dict[str, Path] = {}
    for task in tasks:
        # Some file systems hold A.jpg and a.jpg to be one file.
        key = str(task.target).casefold()
        if key in seen:
            raise OutputExists(
                f"{seen[key]} and {task.source} would both become {task.target}: "
                "colour them into different folders."
            )
        seen[key] = task.source


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
    if task.target.exists() and not overwrite:
        return _already_there(task.source, task.target)
    photo = read_photo(task.source)
    target = task.target
    if format_of_suffix(target) is None:
        target = target.with_suffix(default_suffix(photo))
        if target.exists() and not overwrite:
            return _already_there(task.source, target)
    treated = treatment.apply(photo.pixels, progress, cancel)
    cancel()
    target.parent.mkdir(parents=True, exist_ok=True)
    write_photo(target, treated.result.image, photo, treated.provenance, overwrite=overwrite)
    return Outcome(
        task.source,
        target,
        "done",
        notices=(*photo.notes, *treated.provenance.notices),
        network_extent=str(treated.result.network_extent),
    )


def _already_there(source: Path, target: Path) -> Outcome:
    return Outcome(source, target, "skipped", f"{target} is already there: --overwrite redoes it.")


def _reason(task: Task, error: Exception) -> str:
    text = str(error)
    return text if str(task.source) in text else f"{task.source}: {text}"


def _listed(suffixes: frozenset[str]) -> str:
    return ", ".join(sorted(suffix.removeprefix(".") for suffix in suffixes))
