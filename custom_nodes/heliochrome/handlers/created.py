"""A picture that was put into a bucket: coloured into another folder, once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .places import Place


@dataclass(frozen=True)
class Coloured:
    """What became of one object. code: of the error where it failed (see `refusals.STATUS`).

    text: one sentence, for the log.
    """

    source: Place
    target: Place | None
    status: Literal["done", "skipped", "failed"]
    text: str = ""
    code: str | None = None


def colorize_created(source: Place, *, request_id: str, deadline: float | None = None) -> Coloured:
    """Colour one object from HELIOCHROME_EVENT_SOURCE to HELIOCHROME_EVENT_TARGET.

    deadline: as for `core.handle`. Never raises: whatever is wrong is in the answer, and the
    adapter tells its platform so. The original stays. An object that has been coloured already
    is skipped, and so are folders, files that are no photographs by their ending, and whatever
    lies elsewhere. The result has the same name below the target; its ending follows its format.
    """
    raise NotImplementedError
