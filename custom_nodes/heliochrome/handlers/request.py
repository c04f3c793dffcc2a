"""What the core is asked, whatever brought it: a function URL, a queue, an HTTP server."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def new_id() -> str:
    """An identifier for a request that came without one."""
    return uuid.uuid4().hex


def safe_id(given: str | None) -> str:
    """The platform's identifier of a request, or a new one where it cannot be part of a file
    name: letters, digits, dot, hyphen and underscore, at most 128, a letter or digit first."""
    return given if given and _ID.fullmatch(given) else new_id()


@dataclass(frozen=True, kw_only=True)
class HandlerRequest:
    """One request, not looked into yet: `core.handle` answers for whatever is wrong with it.

    body: the bytes of a JSON object, in UTF-8. accept, content_type: the headers of these
    names, None where there are none. reply: "inline" is answered with the picture itself, or
    with a link to it where it is too large; "stored" always puts pictures and answer below
    HELIOCHROME_OUTPUT, under `request_id`, and does not do again what is there already.
    request_id: in every answer and log line; see `safe_id`.
    """

    body: bytes
    method: str = "POST"
    accept: str | None = None
    content_type: str | None = None
    reply: Literal["inline", "stored"] = "inline"
    request_id: str = field(default_factory=new_id)

    @classmethod
    def of_event(cls, event: Mapping[str, Any], request_id: str | None) -> HandlerRequest:
        """A request whose body is the event itself: the function was invoked directly."""
        return cls(body=json.dumps(event).encode(), request_id=safe_id(request_id))
