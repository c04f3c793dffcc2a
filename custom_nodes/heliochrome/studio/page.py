"""The one page and its files; its sentences in each language, those of notices among them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from aiohttp import web

_WEB: Final = Path(__file__).parent / "web"
_LOCALES: Final = Path(__file__).parents[1] / "locales"
LANGUAGES: Final = ("en", "zh")
_TYPES: Final = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
# Nothing but this page's own files; what it shows comes from here or from the person's own disk.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def routes() -> list[web.RouteDef]:
    return [
        web.get("/", _front),
        web.get("/static/texts/{language}.json", _texts),
        web.get("/static/{file}", _static),
    ]


async def _front(request: web.Request) -> web.StreamResponse:
    return _file("index.html")


async def _static(request: web.Request) -> web.StreamResponse:
    name = request.match_info["file"]
    if name not in _files():
        raise web.HTTPNotFound
    return _file(name)


async def _texts(request: web.Request) -> web.StreamResponse:
    language = request.match_info["language"]
    if language not in LANGUAGES:
        raise web.HTTPNotFound
    return web.json_response(texts(language), headers={"Cache-Control": "no-cache"})


@cache
def texts(language: str) -> dict[str, Any]:
    """Sentences by name. notices: by code; empty in English, in which notices are written."""
    found: dict[str, Any] = json.loads((_WEB / f"{language}.json").read_text(encoding="utf-8"))
    node_texts = _LOCALES / language / "main.json"
    notices = {}
    if node_texts.is_file():
        notices = json.loads(node_texts.read_text(encoding="utf-8"))["heliochrome"]["notices"]
    return {**found, "notices": {**notices, **found.get("notices", {})}}


@cache
def _files() -> frozenset[str]:
    return frozenset(path.name for path in _WEB.iterdir() if path.suffix in _TYPES)


def _file(name: str) -> web.FileResponse:
    kind = _TYPES[Path(name).suffix]
    # Always asked for anew, and answered "not modified": a new version is there at once.
    headers = {
        "Content-Type": f"{kind}; charset=utf-8",
        "Content-Security-Policy": _POLICY,
        "Cache-Control": "no-cache",
    }
    return web.FileResponse(_WEB / name, headers=headers)
