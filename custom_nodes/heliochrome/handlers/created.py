"""A picture that was put into a bucket: coloured into another folder, once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from ..core.albums import PHOTO_SUFFIXES
from ..core.errors import BadSetting, HeliochromeError, OutputExists, shown
from ..core.full_memory import memory_errors
from ..core.photo import SUFFIXES, PhotoFormat
from ..core.recipe import Recipe
from . import journal, objects
from .asked import recipe_of
from .deadline import Deadline
from .objects import Head
from .pictures import read
from .places import Place
from .refusals import Refusal, code_of
from .scratch import scratch_file
from .service import Service, the_service
from .work import colorize


@dataclass(frozen=True)
class Coloured:
    """What became of one object. source, target: addresses; no target where none was made.

    code: of the error where it failed (see `refusals.STATUS`). text: one sentence, for the log.
    """

    source: str
    target: str | None
    status: Literal["done", "skipped", "failed"]
    text: str = ""
    code: str | None = None


def colorize_created(
    source: Place,
    *,
    request_id: str,
    deadline: float | None = None,
    service: Callable[[], Service] = the_service,
) -> Coloured:
    """Colour one object from HELIOCHROME_EVENT_SOURCE to HELIOCHROME_EVENT_TARGET.

    deadline, service: as for `core.handle`. Never raises: whatever is wrong is in the answer,
    and the adapter tells its platform so. The original stays. An object that has been coloured
    already is skipped, and so are folders, files that are no photographs by their ending, and
    whatever lies elsewhere. The result has the same name below the target, with the ending of
    its format added where it has another (a.bmp becomes a.bmp.png).
    """
    content = False
    try:
        found = service()
        content = found.settings.log_content
        with memory_errors("colour the photograph"):
            outcome = _colorize(source, found, deadline)
    # The edge of the process: whatever it is becomes an answer, and the journal has the cause.
    except Exception as error:  # noqa: BLE001
        journal.tell_failure(error, request_id, content=content)
        text = str(error) if isinstance(error, HeliochromeError) else type(error).__name__
        outcome = Coloured(str(source), None, "failed", text, code_of(error))
    journal.tell(
        "created",
        request_id=request_id,
        source=outcome.source,
        target=outcome.target,
        status=outcome.status,
        code=outcome.code,
        text=outcome.text,
    )
    return outcome


def refused(name: str, error: HeliochromeError, request_id: str) -> Coloured:
    """For an entry of an event that names no object. name: what it does say."""
    journal.tell_failure(error, request_id, content=False)
    return Coloured(shown(name), None, "failed", str(error), code_of(error))


def _colorize(source: Place, service: Service, deadline: float | None) -> Coloured:
    settings = service.settings
    cancel = Deadline(deadline, settings.deadline_margin_s)
    cancel()
    if settings.event_source is None or settings.event_target is None:
        raise Refusal(
            "not_configured",
            "HELIOCHROME_EVENT_SOURCE and HELIOCHROME_EVENT_TARGET do not say what is coloured "
            "to where.",
        )
    reason = _not_ours(source, settings.event_source)
    if reason:
        return Coloured(str(source), None, "skipped", reason)
    recipe = _recipe(service)
    with scratch_file() as file:
        head = objects.download(source, file, settings.max_image_bytes, cancel)
        received = read(file, str(source), settings)
    target = _target(source, settings.event_source, settings.event_target, received.photo.format)
    notes = {"source": _mark(source), "source-etag": head.e_tag.strip('"')}
    before = objects.look(target, cancel)
    if before is not None:
        if _is_done(before, notes, target):
            return Coloured(str(source), str(target), "skipped", "It has been coloured before.")
        _require_still(source, head, cancel)
    made = service.run(lambda stop: colorize(received, recipe, None, service.models, stop), cancel)
    picture = made.pictures[0]
    try:
        objects.store(target, picture.file, picture.mime_type, cancel, notes, over=before)
    except OutputExists:
        now = objects.look(target, cancel)
        if now is None or not _is_done(now, notes, target):
            raise  # another version of it has been coloured: the next try reads the present one
    return Coloured(
        str(source), str(target), "done", " ".join(notice["text"] for notice in made.notices)
    )


def _require_still(source: Place, head: Head, cancel: Deadline) -> None:
    """Raises OutputExists if the photograph was replaced after it was read: what lies in the
    target may be the later one's result, which then must not give way to the earlier one's."""
    now = objects.look(source, cancel)
    if now is None or now.e_tag != head.e_tag:
        raise OutputExists(f"{source} has been replaced since it was read: try again.")


def _not_ours(source: Place, folder: Place) -> str | None:
    """Why an object is left alone; None if it is not."""
    if not folder.holds(source):
        return f"It does not lie in {folder}."
    if source.key.endswith("/") or not source.key:
        return "It is a folder."
    if PurePosixPath(source.key).suffix.lower() not in PHOTO_SUFFIXES:
        return "It is no photograph by its ending."
    return None


def _recipe(service: Service) -> Recipe:
    try:
        return recipe_of(service.settings.event_settings)
    except BadSetting as error:
        raise Refusal("not_configured", f"HELIOCHROME_EVENT_SETTINGS: {error}") from error


def _target(source: Place, folder: Place, target: Place, name: PhotoFormat) -> Place:
    place = target.below(source.key.removeprefix(folder.key))
    endings = SUFFIXES[name]
    if PurePosixPath(place.key).suffix.lower() in endings:
        return place
    return Place(place.scheme, place.bucket, place.key + endings[0])


def _mark(source: Place) -> str:
    """The address in the ASCII that object metadata takes."""
    return hashlib.sha256(str(source).encode()).hexdigest()


def _is_done(before: Head, notes: dict[str, str], target: Place) -> bool:
    """False if the photograph has been replaced since. Raises OutputExists for anything that
    was not made from it."""
    if before.notes.get("source") != notes["source"]:
        raise OutputExists(
            f"{target} is there and was not made from this photograph, so it is not replaced. "
            "Move it away, or let HELIOCHROME_EVENT_TARGET name another folder."
        )
    return before.notes.get("source-etag") == notes["source-etag"]
