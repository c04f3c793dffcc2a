"""The core behind every adapter: a request in, a response out, never an exception."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace

from ..core.full_memory import memory_errors
from . import delivery, journal
from .accepting import Accepted, accepted
from .asked import COLORIZE, Asked, read_body, recipe_of
from .deadline import Deadline
from .pictures import receive
from .request import HandlerRequest
from .responses import HandlerResponse, error_response
from .service import Service, the_service
from .work import Made, colorize, formats_of, generate, generation_of


def handle(
    request: HandlerRequest,
    *,
    deadline: float | None = None,
    service: Callable[[], Service] = the_service,
) -> HandlerResponse:
    """Answer one request.

    deadline: when the platform ends the process, by `time.monotonic()`; work stops
    HELIOCHROME_DEADLINE_MARGIN seconds before. None: there is none. service: whose settings
    and models are used. Whatever is wrong becomes a structured answer. Threads may call at the
    same time; work is done one after the other.
    """
    started = time.monotonic()
    content = False
    try:
        found = service()
        content = found.settings.log_content
        response = _answer(request, deadline, found)
    # The edge of the process: whatever it is becomes an answer, and the journal has the cause.
    except Exception as error:  # noqa: BLE001
        response = refuse(error, request.request_id, content=content)
    journal.tell(
        "request",
        request_id=request.request_id,
        status=response.status,
        code=response.code,
        seconds=round(time.monotonic() - started, 3),
        request_bytes=len(request.body),
        response_bytes=len(response.body),
    )
    return response


def refuse(error: Exception, request_id: str, *, content: bool = False) -> HandlerResponse:
    """The answer to what is wrong, which the log tells of, too. content: see `journal`."""
    journal.tell_failure(error, request_id, content=content)
    return error_response(error, request_id)


def _answer(request: HandlerRequest, deadline: float | None, service: Service) -> HandlerResponse:
    settings = service.settings
    cancel = Deadline(deadline, settings.deadline_margin_s)
    cancel()
    asked = read_body(request, settings.max_request_bytes)
    if request.reply == "stored":
        asked = _repeatable(asked, request.request_id)
    accepts = accepted(request.accept)
    if request.reply == "stored" and (before := delivery.stored_before(request, settings, cancel)):
        return before
    if settings.log_content:
        journal.tell(
            "asked", request_id=request.request_id, task=asked.task, fields=dict(asked.fields)
        )
    with memory_errors("answer the request"):
        made, wanted = _do(asked, accepts, service, cancel)
        if request.reply == "stored":
            return delivery.keep(made, request, settings, cancel)
        return delivery.answer(made, request, wanted, settings, cancel)


def _repeatable(asked: Asked, request_id: str) -> Asked:
    """With a seed, so that two deliveries at the same time make and store the same pictures."""
    if asked.task == COLORIZE or asked.fields.get("seed") is not None:
        return asked
    drawn = int.from_bytes(hashlib.sha256(request_id.encode()).digest()[:4], "big")
    return replace(asked, fields={**asked.fields, "seed": drawn})


def _do(
    asked: Asked, accepts: Accepted, service: Service, cancel: Deadline
) -> tuple[Made, str | None]:
    """What was made, and the type of picture to answer with, None for JSON.

    What can be refused is refused before it is this request's turn: nobody waits for it.
    """
    settings, models = service.settings, service.models
    if asked.task == COLORIZE:
        recipe = recipe_of(asked.fields)
        received = receive(asked.image or "", "image", settings, cancel)
        wanted = accepts.choose(formats_of(received))
        made = service.run(lambda stop: colorize(received, recipe, wanted, models, stop), cancel)
        return made, wanted
    generation = generation_of(asked, settings, cancel)
    wanted = accepts.choose(generation.formats)
    made = service.run(lambda stop: generate(generation, models, settings, stop), cancel)
    return made, wanted
