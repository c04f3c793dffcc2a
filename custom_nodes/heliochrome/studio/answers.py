"""An error as the API answers it: JSON with a code and a sentence."""

from __future__ import annotations

import logging

from aiohttp import web

from .refusals import STATUS

_log = logging.getLogger("heliochrome.studio")


def error_answer(code: str, message: str) -> web.Response:
    """code: of `refusals.STATUS`; any other is the studio's own fault."""
    status = STATUS.get(code, STATUS["internal_error"])
    if status >= 500:
        _log.error("%s", message)
    return web.json_response({"error": {"code": code, "message": message}}, status=status)
