"""What OSS tells a function of Alibaba's: which objects were created.

The event's form: help.aliyun.com/document_detail/62922.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote_plus

from ..core.errors import BadSetting
from .created import Coloured, colorize_created, refused
from .places import Place

_SOURCE: Final = "acs:oss"
_CREATED: Final = "ObjectCreated:"
_NOT_THERE: Final = "object_not_found"


def is_oss_event(document: object) -> bool:
    """Whether this is an event of OSS, of whatever kind."""
    events = document.get("events") if isinstance(document, dict) else None
    return isinstance(events, list) and any(
        isinstance(event, dict) and event.get("eventSource") == _SOURCE for event in events
    )


def colorize_event(
    document: Mapping[str, Any], *, request_id: str, deadline: float | None
) -> list[Coloured]:
    """Colour every object that the event says was created; other kinds of events are passed.

    deadline: as for `core.handle`. Never raises; an entry that names no object has failed, and
    does not stop the others.
    """
    return [
        _colorize(entry, request_id, deadline)
        for entry in document["events"]
        if not isinstance(entry, dict) or str(entry.get("eventName")).startswith(_CREATED)
    ]


def _colorize(entry: object, request_id: str, deadline: float | None) -> Coloured:
    try:
        spellings = _spellings(entry)
    except BadSetting as error:
        return refused(str(entry), error, request_id)
    result = colorize_created(spellings[0], request_id=request_id, deadline=deadline)
    # Not there, or not where photographs are.
    if len(spellings) > 1 and result.target is None and result.code in (None, _NOT_THERE):
        return colorize_created(spellings[1], request_id=request_id, deadline=deadline)
    return result


def _spellings(entry: Any) -> list[Place]:
    """Alibaba does not say whether keys are URL-encoded here, as they are in S3's events: the
    object as it is written, and as it would then be. Raises BadSetting if it is neither."""
    try:
        bucket, key = str(entry["oss"]["bucket"]["name"]), str(entry["oss"]["object"]["key"])
    except (KeyError, TypeError) as error:
        raise BadSetting(
            "an event of OSS must name its object in oss.bucket.name and oss.object.key."
        ) from error
    found: list[Place] = []
    wrong: BadSetting | None = None
    for name in dict.fromkeys((key, unquote_plus(key))):
        try:
            found.append(Place("oss", bucket, name))
        except BadSetting as error:
            wrong = wrong or error
    if not found and wrong:
        raise wrong
    return found
