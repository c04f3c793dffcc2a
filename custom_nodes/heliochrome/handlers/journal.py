"""The log: one JSON object a line, and by default nothing of what a request holds."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import datetime, timezone
from typing import Any, Final

from ..core.errors import HeliochromeError
from .refusals import code_of, is_the_callers

_FIELDS: Final = "heliochrome_fields"

_log = logging.getLogger("heliochrome.handlers")


class JsonLines(logging.Formatter):
    """A record as one line; the fields given to `tell` are its own."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, timezone.utc)
        line = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, _FIELDS, {}),
        }
        return json.dumps(line, default=str)


def start() -> None:
    """Let the pack's log go to standard output as JSON lines. More calls change nothing."""
    pack = logging.getLogger("heliochrome")
    if any(isinstance(handler.formatter, JsonLines) for handler in pack.handlers):
        return
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    pack.addHandler(handler)
    pack.setLevel(logging.INFO)
    # The platform's own handler would write every line once more.
    pack.propagate = False


def tell(event: str, /, *, level: int = logging.INFO, **fields: Any) -> None:
    """Write one line. Fields that are None are left out."""
    given = {name: value for name, value in fields.items() if value is not None}
    _log.log(level, event, extra={_FIELDS: given})


def tell_failure(error: Exception, request_id: str, *, content: bool) -> None:
    """What went wrong, and where if it is a fault of ours.

    The message of an error about the request may quote it, and so may one that is not ours:
    both are written only if `content` allows it.
    """
    code = code_of(error)
    ours = isinstance(error, HeliochromeError) and not is_the_callers(code)
    unforeseen = not isinstance(error, HeliochromeError)
    tell(
        "failure",
        level=logging.WARNING if is_the_callers(code) else logging.ERROR,
        request_id=request_id,
        code=code,
        error=type(error).__name__,
        message=str(error) if ours or content else None,
        cause=_cause(error) if ours else None,
        trace=[line.rstrip() for line in traceback.format_tb(error.__traceback__)]
        if unforeseen
        else None,
    )


def _cause(error: Exception) -> str | None:
    return None if error.__cause__ is None else type(error.__cause__).__name__
