"""Names of files that people bring, made harmless; and those of their results."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from ..core.photo import SUFFIXES, PhotoFormat
from ..core.preview import PREVIEW_SUFFIX

# Next to its original in a downloads folder, a result must not be taken for it.
COLOUR_SUFFIX: Final = ".colour"
# Bytes in UTF-8. File systems take 255, and an ending or a number may be added.
_LONGEST_STEP: Final = 200
_DEEPEST: Final = 8
_FALLBACK: Final = "photo"
_ENDINGS: Final = frozenset(
    (*(ending for endings in SUFFIXES.values() for ending in endings), ".bmp", ".gif")
)
# What Windows keeps for devices, with any ending.
_RESERVED: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_FORBIDDEN: Final = frozenset('<>:"|?*')


def plain_name(given: str) -> str:
    """The file's name, with the folders that it came in, for any system and for a ZIP's list."""
    *folders, name = given.split("/")
    # From a folder of Windows; what is before is the person's own machine.
    steps = [_step(folder) for folder in folders] + [_step(name.rpartition("\\")[2])]
    kept = [step for step in steps if step]
    return "/".join(kept[-_DEEPEST:]) if steps[-1] else "/".join([*kept[1 - _DEEPEST :], _FALLBACK])


def result_name(name: str, written_as: PhotoFormat, *, preview: bool) -> str:
    """1932/aunt.jpg -> 1932/aunt.colour.jpg, with the ending of the format it is written in."""
    path = PurePosixPath(name)
    stem, ending = _parts(path.name)
    endings = SUFFIXES[written_as]
    kept = ending if ending.lower() in endings else endings[0]
    return str(path.with_name(f"{stem}{PREVIEW_SUFFIX if preview else COLOUR_SUFFIX}{kept}"))


def ending_of(name: str) -> str:
    """Of a photograph's file, in lower case; "" where it has none that we know."""
    return _parts(name)[1].lower()


def file_name(name: str) -> str:
    """Without the folders: for a file that is saved by itself."""
    return PurePosixPath(name).name


def numbered(names: Sequence[str]) -> list[str]:
    """Each only once, also for systems that hold A.jpg and a.jpg to be one file."""
    taken: set[str] = set()
    found = []
    for name in names:
        path, number, unique = PurePosixPath(name), 1, name
        while unique.casefold() in taken:
            number += 1
            unique = str(path.with_name(f"{path.stem} ({number}){path.suffix}"))
        taken.add(unique.casefold())
        found.append(unique)
    return found


def _step(text: str) -> str:
    text = "".join(char if char.isprintable() and char not in _FORBIDDEN else "_" for char in text)
    stem, ending = _parts(text.replace("\\", "_").strip(" ."))
    short = stem.encode()[: _LONGEST_STEP - len(ending)].decode(errors="ignore").strip(" .")
    step = f"{short}{ending}" if short else ""
    return f"_{step}" if _RESERVED.fullmatch(step) else step


def _parts(name: str) -> tuple[str, str]:
    """Stem and ending; what is no ending of a photograph's, such as that of "Brief 12.5.1931",
    belongs to the stem."""
    stem, dot, ending = name.rpartition(".")
    return (stem, dot + ending) if stem and f".{ending.lower()}" in _ENDINGS else (name, "")
