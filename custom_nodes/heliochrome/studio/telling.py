"""What the gateway is to record of an answer: in a header that it takes off again."""

from __future__ import annotations

import json
from typing import Final, TypeVar

from aiohttp import web

EVENT: Final = "Heliochrome-Event"
_Response = TypeVar("_Response", bound=web.StreamResponse)


def tell(response: _Response, kind: str, **facts: object) -> _Response:
    """facts: as the gateway's record knows them; None is left out."""
    stated = {name: value for name, value in facts.items() if value is not None}
    response.headers[EVENT] = json.dumps({"kind": kind, **stated})
    return response
