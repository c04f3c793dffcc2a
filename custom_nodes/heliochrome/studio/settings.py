"""What the operator sets, once, for one studio: read from the environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from platformdirs import user_data_path

from ..core import variables
from ..core.backends import AUTO
from ..core.errors import BadSetting
from ..core.presets import DEFAULT_MODEL

PREFIX: Final = "HELIOCHROME_STUDIO_"
_LEAST_SECRET: Final = 16
_MIB: Final = 1024 * 1024


def _own_folder() -> Path:
    return user_data_path("heliochrome-studio")


@dataclass(frozen=True, kw_only=True)
class StudioSettings:
    """Validated on construction; raises BadSetting. `variable(field)` names where each comes from.

    listen_host, listen_port: where the gateway finds the studio; port 0: any free one. token: what
    the gateway shows with every request. folder: photographs, results and jobs. comfyui: the
    ComfyUI that does the work; None: the worker does it itself. model: id or file of a DDColor
    model; backend: its runtime, where the worker runs it. self_test: whether the worker tries the
    presets on a drawn picture when it starts, which also gets the model ready.
    max_photo_bytes, max_photo_pixels: of one photograph; max_job_photos: of one job;
    max_user_bytes: of all that one user keeps here, results included.
    keep_days: what is so old is deleted. webhook_origins: where jobs may report to, such as
    https://archive.example; webhook_secret: signs those reports.
    """

    listen_host: str = "127.0.0.1"
    listen_port: int = 8190
    token: str = field(repr=False)
    folder: Path = field(default_factory=_own_folder)
    comfyui: str | None = None
    model: str = DEFAULT_MODEL
    backend: str = AUTO
    self_test: bool = False
    max_photo_bytes: int = 256 * _MIB
    max_photo_pixels: int = 100_000_000
    max_job_photos: int = 500
    max_user_bytes: int = 50 * 1024 * _MIB
    keep_days: float = 7.0
    webhook_origins: tuple[str, ...] = ()
    webhook_secret: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if len(self.token) < _LEAST_SECRET:
            raise BadSetting(
                f"{variable('token')} must have at least {_LEAST_SECRET} characters: the gateway "
                "shows it with every request, and nobody else may know it."
            )
        for name in ("comfyui", *(["webhook_origins"] if self.webhook_origins else [])):
            given = getattr(self, name)
            for origin in given if isinstance(given, tuple) else [given] if given else []:
                require_origin(variable(name), origin)
        if self.webhook_origins and len(self.webhook_secret) < _LEAST_SECRET:
            raise BadSetting(
                f"{variable('webhook_origins')} needs {variable('webhook_secret')}, of at least "
                f"{_LEAST_SECRET} characters, which signs the reports."
            )

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> StudioSettings:
        """Read HELIOCHROME_STUDIO_*; one that is empty counts as not set. Raises BadSetting, also
        for a variable with that beginning that does not exist."""
        known = {variable(name) for name in READ} | {
            f"{variable(name)}{ending}" for name in SECRETS for ending in ("", "_FILE")
        }
        if strange := sorted(
            name for name in environ if name.startswith(PREFIX) and name not in known
        ):
            raise BadSetting(
                f"There is no setting {strange[0]}. Settings: {', '.join(sorted(known))}."
            )
        given: dict[str, Any] = {
            name: variables.secret(environ, variable(name)) for name in SECRETS
        }
        for name in READ:
            if (value := _read(environ, name)) is not None:
                given[name] = value
        return cls(**given)


def variable(field: str) -> str:
    return PREFIX + field.upper()


def folder_of(environ: Mapping[str, str]) -> Path:
    """Where the studio of this environment keeps everything, for who has not its token.

    Raises BadSetting.
    """
    given = _read(environ, "folder")
    return _own_folder() if given is None else Path(given)


def _read(environ: Mapping[str, str], field: str) -> Any:
    """None where its variable is not set, or empty."""
    text = environ.get(variable(field), "").strip()
    return READ[field](variable(field), text) if text else None


def require_origin(name: str, text: str) -> None:
    """Raises BadSetting, in which `name` says what `text` was given for."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or text != f"{parts.scheme}://{parts.netloc}" or "@" in text:
        raise BadSetting(
            f"{name} must be an address without a path such as http://127.0.0.1:8188, got {text!r}."
        )


SECRETS: Final = ("token", "webhook_secret")
# Of what the variables may say, both ends allowed. A float's ends are floats.
RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "listen_port": (0, 65_535),
    "max_photo_bytes": (1024, 1 << 34),
    "max_photo_pixels": (1, 250_000_000),
    "max_job_photos": (1, 100_000),
    "max_user_bytes": (1024, 1 << 50),
    "keep_days": (0.01, 36_500.0),
}


def _ranged(least: float, most: float) -> Callable[[str, str], Any]:
    if isinstance(least, int) and isinstance(most, int):
        return variables.whole(least, most)
    return variables.number(least, most)


# How the text of each other field's variable is read.
READ: Final[Mapping[str, Callable[[str, str], Any]]] = {
    **{name: _ranged(*ends) for name, ends in RANGES.items()},
    "listen_host": variables.text,
    "folder": variables.path,
    "comfyui": variables.text,
    "model": variables.text,
    "backend": variables.backend,
    "self_test": variables.switch,
    "webhook_origins": variables.words,
}
