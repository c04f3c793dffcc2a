"""Lambda function URLs, payload format 2.0
(docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from .core import handle, refuse
from .refusals import Refusal
from .request import HandlerRequest
from .responses import HandlerResponse


def is_request(event: Mapping[str, Any]) -> bool:
    """Whether this is HTTP; API Gateway's HTTP APIs send the same."""
    context = event.get("requestContext")
    return isinstance(context, Mapping) and isinstance(context.get("http"), Mapping)


def answer(event: Mapping[str, Any], request_id: str, deadline: float | None) -> dict[str, Any]:
    """The event's request answered, in the shape that Lambda makes HTTP of."""
    try:
        request = _request(event, request_id)
    except Refusal as error:
        return _shaped(refuse(error, request_id))
    return _shaped(handle(request, deadline=deadline))


def _request(event: Mapping[str, Any], request_id: str) -> HandlerRequest:
    headers = {str(name).lower(): str(text) for name, text in (event.get("headers") or {}).items()}
    # Half a character, which JSON can hold, is no UTF-8: the core says so.
    body = str(event.get("body") or "").encode(errors="surrogatepass")
    if event.get("isBase64Encoded"):
        try:
            body = base64.b64decode(body, validate=True)
        except binascii.Error as error:
            raise Refusal("bad_request", f"The body is no valid base64: {error}.") from error
    return HandlerRequest(
        body=body,
        method=str(event["requestContext"]["http"].get("method", "POST")),
        accept=headers.get("accept"),
        content_type=headers.get("content-type"),
        request_id=request_id,
    )


def _shaped(response: HandlerResponse) -> dict[str, Any]:
    text = (
        response.body.decode("ascii")
        if response.is_json
        else base64.b64encode(response.body).decode("ascii")
    )
    return {
        "statusCode": response.status,
        "headers": dict(response.headers),
        "body": text,
        "isBase64Encoded": not response.is_json,
    }
