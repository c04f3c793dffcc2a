"""Reports to other programs that a job is over, signed as Standard Webhooks 1.0 says.

github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import time
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from ..core.errors import BadSetting
from ..version import SOFTWARE
from .outbox import Delivery, Outbox
from .refusals import Refusal
from .settings import StudioSettings, variable

_log = logging.getLogger("heliochrome.studio")

_TIMEOUT: Final = aiohttp.ClientTimeout(total=15)
_SECRET_BEGINS: Final = "whsec_"
_LONGEST: Final = 2000


class Webhooks:
    def __init__(self, settings: StudioSettings, outbox: Outbox) -> None:
        """Raises BadSetting for a secret that says it is base64 and is not."""
        self._origins, self._outbox = frozenset(settings.webhook_origins), outbox
        self._key = _key(settings.webhook_secret)

    @property
    def offered(self) -> bool:
        return bool(self._origins)

    def check(self, url: str) -> str:
        """Raise Refusal unless it is an address that the operator allows."""
        try:
            parts = urlsplit(url)
            allowed = f"{parts.scheme}://{parts.netloc}" in self._origins
        except ValueError:
            allowed = False
        if not allowed or len(url) > _LONGEST or not url.isascii() or not url.isprintable():
            raise Refusal(
                "webhook_not_allowed",
                "Jobs may not report to this address. The operator names those that they may in "
                f"{variable('webhook_origins')}.",
            )
        return url

    async def deliver_due(self, session: aiohttp.ClientSession) -> None:
        for delivery in self._outbox.due():
            problem = await self._deliver(session, delivery)
            if problem is None:
                self._outbox.taken(delivery)
            elif self._outbox.not_taken(delivery):
                _log.warning(
                    "%s did not take a report (%s); it is tried again.", *_short(delivery, problem)
                )
            else:
                _log.error(
                    "%s did not take a report (%s); it is given up.", *_short(delivery, problem)
                )

    async def _deliver(self, session: aiohttp.ClientSession, delivery: Delivery) -> str | None:
        """What went wrong; None where it was taken."""
        stamp = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": SOFTWARE,
            "Webhook-Id": delivery.id,
            "Webhook-Timestamp": str(stamp),
            "Webhook-Signature": self.signature(delivery.id, stamp, delivery.body),
        }
        try:
            # Where it leads is not the operator's word any more.
            async with session.post(
                delivery.url,
                data=delivery.body.encode(),
                headers=headers,
                allow_redirects=False,
                timeout=_TIMEOUT,
            ) as answer:
                return None if 200 <= answer.status < 300 else f"status {answer.status}"
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            return str(error) or type(error).__name__

    def signature(self, message_id: str, stamp: int, body: str) -> str:
        signed = f"{message_id}.{stamp}.{body}".encode()
        digest = hmac.new(self._key, signed, hashlib.sha256).digest()
        return f"v1,{base64.b64encode(digest).decode()}"


def _key(secret: str) -> bytes:
    if not secret.startswith(_SECRET_BEGINS):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_SECRET_BEGINS), validate=True)
    except binascii.Error as error:
        raise BadSetting(
            f"{variable('webhook_secret')} begins with {_SECRET_BEGINS}, so the rest must be "
            f"base64, but {error}."
        ) from error


def _short(delivery: Delivery, problem: str) -> tuple[str, str]:
    parts = urlsplit(delivery.url)
    return f"{parts.scheme}://{parts.netloc}", problem
