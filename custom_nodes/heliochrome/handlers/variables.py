"""The variables that name places for pictures; BadSetting names the variable."""

from __future__ import annotations

from ..core.errors import BadSetting
from ..core.variables import words
from .places import Place


def folder(variable: str, text: str) -> Place:
    try:
        return Place.parse_folder(text)
    except BadSetting as error:
        raise BadSetting(f"{variable}: {error}") from error


def folders(variable: str, text: str) -> tuple[Place, ...]:
    return tuple(folder(variable, item) for item in words(variable, text))
