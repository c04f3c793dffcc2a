"""The text of an environment variable into a value; BadSetting names the variable."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .backends import AUTO, BACKENDS
from .errors import BadSetting
from .paths import from_user


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


def words(variable: str, text: str) -> tuple[str, ...]:
    return tuple(item for part in text.split(",") if (item := part.strip()))


def backend(variable: str, text: str) -> str:
    if text not in (AUTO, *BACKENDS):
        raise BadSetting(f"{variable} must be one of {', '.join((AUTO, *BACKENDS))}, got {text!r}.")
    return text


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


def secret(environ: Mapping[str, str], variable: str) -> str:
    """`variable`, or what the file named by `variable`_FILE holds; "" where neither is set.

    One line break at the file's end is not part of the secret: editors put it there.
    """
    given, file = environ.get(variable, ""), environ.get(f"{variable}_FILE", "")
    if given and file:
        raise BadSetting(f"{variable} and {variable}_FILE are both set: keep one of them.")
    if not file:
        return given
    try:
        found = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"{variable}_FILE names {file}, which cannot be read: {error}.") from error
    return found.removesuffix("\n").removesuffix("\r")
