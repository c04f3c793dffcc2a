"""What the studio knows of photographs and jobs, as values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

State = Literal["uploaded", "queued", "running", "done", "failed", "cancelled"]
STATES: Final[tuple[State, ...]] = get_args(State)
# Work is still to come of these.
_FIRST: Final[tuple[State, ...]] = ("running", "queued", "failed", "cancelled")
OPEN: Final[frozenset[State]] = frozenset({"queued", "running"})


@dataclass(frozen=True)
class Failure:
    """code: of `refusals`; text: English, complete."""

    code: str
    text: str


@dataclass(frozen=True)
class Made:
    """What became of a photograph. name: of the result's file, for whoever downloads it.

    stored: its file's name in the photograph's folder. kind: colorization or preview.
    notices: code, text and values of each (`core.notices`); file: also what its format could
    not hold. parameters: as in the file's own record.
    """

    name: str
    stored: str
    bytes: int
    kind: str
    model: str | None
    model_sha256: str | None
    network_extent: str | None
    seconds: float
    notices: tuple[Mapping[str, Any], ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Photo:
    """One photograph and how far it is.

    name: as its owner's file was called. stored: its file's name in its folder. width and height
    are upright. progress: 0 to 1. Times are seconds since the epoch; ended: in whatever way.
    """

    id: str
    owner: str
    name: str
    stored: str
    bytes: int
    sha256: str
    format: str
    width: int
    height: int
    uploaded: float
    state: State = "uploaded"
    job: str | None = None
    attempts: int = 0
    progress: float = 0.0
    failure: Failure | None = None
    made: Made | None = None
    ended: float | None = None


@dataclass(frozen=True)
class Order:
    """What a job asks for. preview: the warm-tone one, which is not colourisation."""

    preset: str
    preview: bool = False
    webhook: str | None = None


@dataclass(frozen=True)
class Job:
    id: str
    owner: str
    order: Order
    created: float
    photos: tuple[Photo, ...] = ()

    @property
    def state(self) -> State:
        return state_of({photo.state for photo in self.photos})

    @property
    def over(self) -> float | None:
        """When its last photograph ended; None while one is still to come."""
        if self.state in OPEN:
            return None
        return max((photo.ended or self.created for photo in self.photos), default=self.created)


def state_of(states: Collection[State]) -> State:
    """Of a job, by those of its photographs: what is still to come first."""
    for state in _FIRST:
        if state in states:
            return state
    return "done"
