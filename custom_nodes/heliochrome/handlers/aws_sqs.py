"""SQS messages, each a request or S3's notification; those that fail are delivered again
(docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from . import aws_s3
from .core import handle
from .request import HandlerRequest, safe_id


def is_event(event: Mapping[str, Any]) -> bool:
    """Whether these are messages of a queue."""
    records = event.get("Records")
    return isinstance(records, list) and any(
        isinstance(record, Mapping) and record.get("eventSource") == "aws:sqs" for record in records
    )


def answer(event: Mapping[str, Any], request_id: str, deadline: float | None) -> dict[str, Any]:
    """Do every message. Needs ReportBatchItemFailures on the event source mapping.

    A message that cannot be done is reported too, so that it ends in the dead-letter queue and
    is not lost. In a FIFO queue those after it in its group wait for it.
    """
    failed: list[str] = []
    stopped: set[str] = set()
    for record in event["Records"]:
        message = record if isinstance(record, Mapping) else {}
        attributes = message.get("attributes")
        group = attributes.get("MessageGroupId") if isinstance(attributes, Mapping) else None
        if group in stopped or not _is_done(message, request_id, deadline):
            failed.append(str(message.get("messageId") or ""))  # "": all, by AWS's rules
            if group is not None:
                stopped.add(group)
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in failed]}


def _is_done(message: Mapping[str, Any], request_id: str, deadline: float | None) -> bool:
    body = message.get("body")
    if not isinstance(body, str):
        body = ""
    notification = _notification(body)
    if notification is not None:
        outcomes = aws_s3.colorize_all(notification, request_id, deadline)
        return all(outcome.status != "failed" for outcome in outcomes)
    request = HandlerRequest(
        body=body.encode(errors="surrogatepass"),
        reply="stored",
        # The message's own, so that a second delivery finds what the first has done.
        request_id=safe_id(message.get("messageId")),
    )
    return handle(request, deadline=deadline).code is None


def _notification(body: str) -> Mapping[str, Any] | None:
    """What S3 sends to a queue; None for a request, right or wrong."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None  # `handle` says what is wrong with it
    return found if isinstance(found, dict) and aws_s3.is_event(found) else None
