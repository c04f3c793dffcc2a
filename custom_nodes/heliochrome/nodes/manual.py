"""The manual at /help of the host's own server, where its help pages and notices link to."""

from __future__ import annotations

import logging

from aiohttp import web
from server import PromptServer

_log = logging.getLogger("heliochrome")


def serve_manual() -> None:
    """Add the manual's addresses to the host's, before it begins to answer."""
    try:
        from ..manual.web import routes
    except ModuleNotFoundError as error:
        _log.warning(
            "The manual is not served at /help: %s is missing. Run `python -m pip install "
            "markdown-it-py` with ComfyUI's Python and restart ComfyUI.",
            error.name,
        )
        return
    table = PromptServer.instance.routes
    taken = {route.path for route in table if isinstance(route, web.RouteDef)}
    for route in routes():
        # The host does not start with an address that is there twice.
        if route.path not in taken:
            table.route(route.method, route.path)(route.handler)
