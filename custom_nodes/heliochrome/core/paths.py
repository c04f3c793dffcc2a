"""Paths as users write them."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_cache_path

from .errors import BadSetting


def from_user(text: str | Path) -> Path:
    """The path with a leading ~ or ~NAME as that user's home. Raises `BadSetting`."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # there is no such user, or they have no home
        raise BadSetting(
            f"{text}: there is no home folder of that user on this machine. Write the path in full."
        ) from error


def user_cache() -> Path | None:
    """This user's own folder for what can be made again; None for a user without a home, such as
    a container's that is only a number."""
    try:
        return user_cache_path("heliochrome")
    except RuntimeError:
        return None
