"""The text of an environment variable into a value; BadSetting names the variable."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..core.backends import AUTO, BACKENDS
from ..core.errors import BadSetting
from ..core.paths import from_user
from .places import Place


def text(variable: str, text: str) -> str:
    return text


def path(variable: str, text: str) -> Path:
    try:
        return from_user(text)
    except BadSetting as error:
        raise BadSetting(f"{variable}: {error}") from error


def switch(variable: str, text: str) -> bool:
    if text not in ("0", "1"):
        raise BadSetting(f"{variable} must be 1 (on) or 0 (off), got {text!r}.")
    return text == "1"


def backend(variable: str, text: str) -> str:
    if text not in (AUTO, *BACKENDS):
        raise BadSetting(f"{variable} must be one of {', '.join((AUTO, *BACKENDS))}, got {text!r}.")
    return text


def folder(variable: str, text: str) -> Place:
    try:
        return Place.parse_folder(text)
    except BadSetting as error:
        raise BadSetting(f"{variable}: {error}") from error


def folders(variable: str, text: str) -> tuple[Place, ...]:
    return tuple(folder(variable, item.strip()) for item in text.split(",") if item.strip())


def document(variable: str, text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise BadSetting(f"{variable} must be a JSON object, but {error}.") from error
    if not isinstance(found, dict):
        raise BadSetting(f"{variable} must be a JSON object, got {text!r}.")
    return found


def number(low: float, high: float) -> Callable[[str, str], float]:
    def read(variable: str, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise BadSetting(f"{variable} must be a number from {low} to {high}, got {text!r}.")
        return value

    return read


def whole(low: int, high: int) -> Callable[[str, str], int]:
    def read(variable: str, text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise BadSetting(
                f"{variable} must be a whole number from {low} to {high}, got {text!r}."
            )
        return int(text)

    return read
