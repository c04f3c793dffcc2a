"""The entry for AWS Lambda, `heliochrome.handlers.aws.lambda_handler`: any event, told apart."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from . import aws_s3, aws_sqs, aws_url, journal
from .core import handle
from .request import HandlerRequest, safe_id


def lambda_handler(event: Any, context: Any = None) -> Any:
    """Answer one invocation.

    A function URL's event (payload 2.0) gets an HTTP answer; SQS messages a list of those that
    failed; S3 events nothing, or `NotColoured` is raised so that Lambda tries again. Anything
    else is the JSON of a request, invoked directly, and gets the JSON of its answer.
    """
    journal.start()
    request_id = safe_id(getattr(context, "aws_request_id", None))
    deadline = _deadline(context)
    if isinstance(event, Mapping):
        if aws_url.is_request(event):
            return aws_url.answer(event, request_id, deadline)
        if aws_s3.is_event(event):
            return aws_s3.answer(event, request_id, deadline)
        if aws_sqs.is_event(event):
            return aws_sqs.answer(event, request_id, deadline)
    return handle(HandlerRequest.of_event(event, request_id), deadline=deadline).document()


def _deadline(context: Any) -> float | None:
    """By `time.monotonic()`; None where the caller is not Lambda."""
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return None if remaining is None else time.monotonic() + remaining() / 1000
