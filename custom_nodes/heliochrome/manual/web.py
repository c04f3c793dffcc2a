"""The manual's addresses: /help and what lies below, for whatever aiohttp server wants them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from aiohttp import web

from .addresses import INDEX, PICTURES, ROOT, STYLE, Language, address_of, known_language, spoken
from .book import HELP_DOCS, Manual
from .document import Documents

# Nothing but our own style and pictures; no script, and no other site shows it in a frame.
POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_EVERY: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
_TYPES: Final = {
    "css": "text/css",
    "jpg": "image/jpeg",
    "png": "image/png",
    "svg": "image/svg+xml",
    "webp": "image/webp",
}


def routes(folder: Path = HELP_DOCS) -> list[web.RouteDef]:
    """What a server adds to serve the manual: `app.add_routes(routes())`.

    The pages are read when the first one is asked for, and then kept.
    """
    served = _Served(folder)
    # web.route and not web.get: ComfyUI copies routes, and cannot copy those with options.
    return [
        web.route("GET", ROOT, served.start),
        web.route("GET", STYLE, served.style),
        web.route("GET", f"{PICTURES}/{{name}}", served.picture),
        web.route("GET", f"{ROOT}/{{language}}", served.page),
        web.route("GET", f"{ROOT}/{{language}}/search", served.search),
        web.route("GET", f"{ROOT}/{{language}}/{{page}}", served.page),
        web.route("GET", f"{ROOT}/{{rest:.*}}", served.elsewhere),
    ]


class _Served:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._documents: Documents | None = None

    async def start(self, request: web.Request) -> web.StreamResponse:
        headers = {**_EVERY, "Vary": "Accept-Language"}
        raise web.HTTPFound(address_of(_reader_of(request), INDEX), headers=headers)

    async def style(self, request: web.Request) -> web.Response:
        return _file((await self._ready()).style, "css")

    async def picture(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        # A name of those that were read, never a path.
        content = (await self._ready()).manual.pictures.get(name)
        if content is None:
            return await self._missing(request)
        return _file(content, name.rpartition(".")[2])

    async def page(self, request: web.Request) -> web.Response:
        language = known_language(request.match_info["language"])
        documents = await self._ready()
        name = request.match_info.get("page", INDEX)
        page = documents.manual.page(language, name) if language else None
        if page is None:
            return await self._missing(request)
        return _page(documents.page(page), page.language)

    async def search(self, request: web.Request) -> web.Response:
        language = known_language(request.match_info["language"])
        if language is None:
            return await self._missing(request)
        documents = await self._ready()
        return _page(documents.search(language, request.query.get("q", "")), language)

    async def elsewhere(self, request: web.Request) -> web.StreamResponse:
        rest = request.match_info["rest"].rstrip("/")
        if not rest:
            return await self.start(request)
        if language := known_language(rest):  # with a slash at its end
            raise web.HTTPFound(address_of(language, INDEX), headers=_EVERY)
        return await self._missing(request)

    async def _missing(self, request: web.Request) -> web.Response:
        language = known_language(request.match_info.get("language", "")) or _reader_of(request)
        return _page((await self._ready()).missing(language), language, 404)

    async def _ready(self) -> Documents:
        if self._documents is None:
            # Reading all pages takes a moment, in which others are not to wait.
            self._documents = await asyncio.to_thread(self._read)
        return self._documents

    def _read(self) -> Documents:
        return Documents(Manual.read(self._folder))


def _reader_of(request: web.Request) -> Language:
    return spoken(request.headers.get("Accept-Language", ""))


def _page(text: str, language: Language, status: int = 200) -> web.Response:
    headers = {**_EVERY, "Content-Language": language, "Vary": "Accept-Language"}
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)


def _file(content: bytes, ending: str) -> web.Response:
    charset = "utf-8" if ending == "css" else None
    return web.Response(body=content, content_type=_TYPES[ending], charset=charset, headers=_EVERY)
