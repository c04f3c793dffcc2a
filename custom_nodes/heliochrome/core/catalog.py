"""The models we know: where each file comes from and the digest it must have."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal, get_args

from .errors import BadSetting, ModelNotFound
from .weights_file import SUFFIXES

Host = Literal["huggingface", "modelscope"]
HOSTS: Final[tuple[Host, ...]] = get_args(Host)

_FORMAT: Final = 1
_BUILT_IN: Final = Path(__file__).with_name("catalog.json")
_ID = re.compile(r"[a-z0-9][a-z0-9_-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PATHS: Final[Mapping[Host, str]] = {
    "huggingface": "{repo}/resolve/{revision}/{file}",
    "modelscope": "models/{repo}/resolve/{revision}/{file}",
}


@dataclass(frozen=True)
class FileSource:
    """One place that serves a model file.

    size in bytes and sha256 (64 lower-case hex digits) are of exactly this file, or None
    where nobody has published them. checked_against: what the entry was compared with.
    """

    host: Host
    repo: str
    revision: str
    file: str
    size: int | None
    sha256: str | None
    checked_against: str

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.file).suffix

    @property
    def path(self) -> str:
        """Path of the file below its host's endpoint, without a leading slash."""
        return _PATHS[self.host].format(repo=self.repo, revision=self.revision, file=self.file)


@dataclass(frozen=True)
class ModelSpec:
    """One model. unplaced_sha256: digests published for it without saying of which file."""

    id: str
    title: str
    licence: str
    sources: tuple[FileSource, ...]
    unplaced_sha256: tuple[str, ...]

    @property
    def known_sha256(self) -> frozenset[str]:
        """Every digest an official file of this model may have."""
        placed = {source.sha256 for source in self.sources if source.sha256}
        return frozenset(placed | set(self.unplaced_sha256))

    @property
    def size(self) -> int | None:
        """Bytes of the first source, what a user has to expect; None where unknown."""
        return self.sources[0].size

    def sha256_for(self, suffix: str) -> frozenset[str]:
        """Digests a file with this suffix must have; empty where none is published."""
        return frozenset(
            source.sha256 for source in self.sources if source.sha256 and source.suffix == suffix
        )


@dataclass(frozen=True)
class Catalog:
    """Models by id, in the order in which they are shown."""

    models: Mapping[str, ModelSpec]

    def __getitem__(self, model_id: str) -> ModelSpec:
        """The model; `ModelNotFound` lists the ids there are."""
        try:
            return self.models[model_id]
        except KeyError:
            known = ", ".join(self.models)
            raise ModelNotFound(
                f"There is no model called {model_id!r}. Choose one of: {known}."
            ) from None

    def owner_of(self, sha256: str) -> ModelSpec | None:
        """The model one of whose official files has this digest."""
        return next((m for m in self.models.values() if sha256 in m.known_sha256), None)


@cache
def load_catalog(path: Path = _BUILT_IN) -> Catalog:
    """Read and check a catalogue file; ours unless told. Raises `BadSetting`."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadSetting(f"Cannot read the model catalogue {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise BadSetting(f"{path} is not a model catalogue: it is not text in UTF-8.") from error
    return parse_catalog(text, origin=str(path))


def parse_catalog(text: str, origin: str) -> Catalog:
    """Check the JSON text of a catalogue; `BadSetting` names the entry that is wrong."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadSetting(f"{origin} is not valid JSON: {error}.") from error
    top = _Entry(data, origin, {"format", "models"})
    if top.data["format"] != _FORMAT:
        raise top.wrong("format", f"must be {_FORMAT}")
    models: dict[str, ModelSpec] = {}
    for item in top.list("models"):
        spec = _model(item, origin)
        if spec.id in models:
            raise BadSetting(f"{origin}: model {spec.id!r} is listed twice.")
        models[spec.id] = spec
    return Catalog(models)


def _model(data: Any, origin: str) -> ModelSpec:
    name = data.get("id") if isinstance(data, dict) else None
    entry = _Entry(
        data,
        f"{origin}: model {name!r}",
        {"id", "title", "licence", "sources"},
        optional={"unplaced_sha256"},
    )
    sources = tuple(_source(item, entry.where) for item in entry.list("sources"))
    if len({source.suffix for source in sources}) != len(sources):
        # The suffix names the file on disk, so two sources must not share it.
        raise entry.wrong("sources", "must have different file suffixes")
    unplaced = entry.list("unplaced_sha256") if "unplaced_sha256" in entry.data else []
    if not all(isinstance(item, str) and _SHA256.fullmatch(item) for item in unplaced):
        raise entry.wrong("unplaced_sha256", "must hold strings of 64 lower-case hex digits")
    return ModelSpec(
        id=entry.text("id", _ID),
        title=entry.text("title"),
        licence=entry.text("licence"),
        sources=sources,
        unplaced_sha256=tuple(unplaced),
    )


def _source(data: Any, model: str) -> FileSource:
    name = data.get("file") if isinstance(data, dict) else None
    entry = _Entry(
        data,
        f"{model}, source {name!r}",
        {"host", "repo", "revision", "file", "checked_against"},
        optional={"size", "sha256"},
    )
    size = entry.data.get("size")
    if size is not None and (type(size) is not int or size <= 0):
        raise entry.wrong("size", "must be a positive number of bytes")
    source = FileSource(
        host=entry.choice("host", HOSTS),
        repo=entry.text("repo"),
        revision=entry.text("revision"),
        file=entry.text("file"),
        size=size,
        sha256=entry.text("sha256", _SHA256) if "sha256" in entry.data else None,
        checked_against=entry.text("checked_against"),
    )
    if source.suffix not in SUFFIXES:
        raise entry.wrong("file", f"must end in one of {', '.join(SUFFIXES)}")
    return source


class _Entry:
    """A JSON object with exactly the keys it should have, and errors that say where it is."""

    def __init__(
        self,
        data: Any,
        where: str,
        required: set[str],
        optional: frozenset[str] | set[str] = frozenset(),
    ) -> None:
        self.data, self.where = data, where
        if not isinstance(data, dict):
            raise BadSetting(f"{where}: expected a JSON object, got {type(data).__name__}.")
        if missing := sorted(required - data.keys()):
            raise BadSetting(f"{where}: {', '.join(missing)} missing.")
        if unknown := sorted(data.keys() - required - optional):
            raise BadSetting(f"{where}: {', '.join(unknown)} not known; is it misspelt?")

    def wrong(self, key: str, rule: str) -> BadSetting:
        return BadSetting(f"{self.where}: {key} {rule}, got {self.data[key]!r}.")

    def text(self, key: str, pattern: re.Pattern[str] = re.compile(r"\S.*")) -> str:
        value = self.data[key]
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise self.wrong(key, f"must be text like /{pattern.pattern}/")
        return value

    def choice(self, key: str, allowed: tuple[Any, ...]) -> Any:
        if self.data[key] not in allowed:
            raise self.wrong(key, f"must be one of {', '.join(allowed)}")
        return self.data[key]

    def list(self, key: str) -> list[Any]:
        value = self.data[key]
        if not isinstance(value, list) or not value:
            raise self.wrong(key, "must be a list that is not empty")
        return value
