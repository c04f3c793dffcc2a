"""Who asks, and what: the gateway's headers and a request's JSON, checked."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from ..core.presets import AUTO_PRESET, PRESETS
from .records import Order
from .refusals import Refusal
from .webhooks import Webhooks

# What the gateway says of whoever asks; from outside nobody can send these.
TOKEN: Final = "Heliochrome-Token"
USER: Final = "Heliochrome-User"
ROLE: Final = "Heliochrome-Role"
_ORDER: Final = frozenset({"photos", "preset", "preview", "webhook"})
_LONGEST_BODY: Final = 4 * 1024 * 1024


@dataclass(frozen=True)
class Asker:
    name: str
    role: str


@dataclass(frozen=True)
class JobRequest:
    photos: tuple[str, ...]
    order: Order


def asker(headers: Mapping[str, str], token: str) -> Asker:
    """Raises Refusal unless it is the gateway that passes on the request."""
    given = headers.get(TOKEN, "")
    if not secrets.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode()):
        raise Refusal("unauthorized", "Only the gateway may ask here. Use the gateway's address.")
    name, role = headers.get(USER, ""), headers.get(ROLE, "")
    if not name or not role:
        raise Refusal("unauthorized", f"The gateway must say who asks, in {USER} and {ROLE}.")
    return Asker(name, role)


async def job_request(request: web.Request, most: int, webhooks: Webhooks) -> JobRequest:
    """Raises Refusal."""
    given = await _object(request)
    if unknown := sorted(set(given) - _ORDER):
        raise Refusal(
            "bad_request", f"Unknown field {unknown[0]!r}. Known: {', '.join(sorted(_ORDER))}."
        )
    photos = given.get("photos")
    if (
        not isinstance(photos, list)
        or not photos
        or not all(isinstance(photo, str) for photo in photos)
    ):
        raise Refusal("bad_request", "`photos` must be a list of the ids of photographs.")
    if len(photos) > most or len(set(photos)) != len(photos):
        raise Refusal(
            "bad_request",
            f"`photos` may name up to {most} photographs, each once; got {len(photos)}.",
        )
    preset = given.get("preset")
    known = (AUTO_PRESET, *PRESETS)
    if not isinstance(preset, str) or preset not in known:
        raise Refusal("bad_setting", f"`preset` must be one of {', '.join(known)}.")
    preview, webhook = given.get("preview", False), given.get("webhook")
    if not isinstance(preview, bool):
        raise Refusal("bad_request", "`preview` must be true or false.")
    if webhook is not None and not isinstance(webhook, str):
        raise Refusal("bad_request", "`webhook` must be an address, or null.")
    checked = webhooks.check(webhook) if webhook is not None else None
    return JobRequest(tuple(photos), Order(preset, preview, checked))


async def _object(request: web.Request) -> dict[str, Any]:
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > _LONGEST_BODY:
            raise Refusal("photo_too_large", "The request is larger than any job needs.")
    try:
        found = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Refusal("bad_request", "The body must be a JSON object in UTF-8.") from error
    if not isinstance(found, dict):
        raise Refusal("bad_request", "The body must be a JSON object.")
    return found
