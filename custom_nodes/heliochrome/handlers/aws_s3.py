"""S3 event notifications
(docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote_plus

from ..core.errors import BadSetting, HeliochromeError
from .created import Coloured, colorize_created, refused
from .places import Place


class NotColoured(HeliochromeError):
    """Some pictures of an event could not be coloured. Raised so that Lambda delivers it again,
    and in the end to the dead-letter queue; what is done is not done again."""


def is_event(event: Mapping[str, Any]) -> bool:
    """Whether this tells of objects, or is the message that S3 tries a new connection with."""
    return event.get("Event") == "s3:TestEvent" or any(
        record.get("eventSource") == "aws:s3" for record in _records(event)
    )


def answer(event: Mapping[str, Any], request_id: str, deadline: float | None) -> dict[str, Any]:
    """Colour what has been created. Raises NotColoured."""
    outcomes = colorize_all(event, request_id, deadline)
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    if failed:
        raise NotColoured(told(failed))
    return {
        "coloured": [one.target for one in outcomes if one.status == "done"],
        "skipped": [one.source for one in outcomes if one.status == "skipped"],
    }


def colorize_all(
    event: Mapping[str, Any], request_id: str, deadline: float | None
) -> list[Coloured]:
    """Every created object of an event; one that fails does not stop the others."""
    outcomes = []
    for record in _records(event):
        if not str(record.get("eventName", "")).startswith("ObjectCreated:"):
            continue
        bucket, key = _text(record, "bucket", "name"), _text(record, "object", "key")
        try:
            # Keys come as in a form: "my photo(1).jpg" is my+photo%281%29.jpg.
            place = Place("s3", bucket, unquote_plus(key))
        except BadSetting as error:
            outcomes.append(refused(f"s3://{bucket}/{key}", error, request_id))
            continue
        outcomes.append(colorize_created(place, request_id=request_id, deadline=deadline))
    return outcomes


def told(failed: Sequence[Coloured]) -> str:
    """One sentence for what failed."""
    return "Not coloured: " + "; ".join(f"{one.source} ({one.code}: {one.text})" for one in failed)


def _text(record: Mapping[str, Any], *names: str) -> str:
    """A text of the notification, "" where it is missing: whoever may write to a queue may
    write anything."""
    found: Any = record.get("s3")
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else ""


def _records(event: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    records = event.get("Records")
    if not isinstance(records, list):
        return []
    return [record for record in records if isinstance(record, Mapping)]
