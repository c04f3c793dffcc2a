"""A real server with the manual's routes, asked over HTTP as a browser asks."""

from __future__ import annotations

import asyncio
import http.client
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import web

from heliochrome.manual import LANGUAGES, Manual
from heliochrome.manual.web import POLICY, routes

DOCS = Path(__file__).parents[2] / "help_docs"
STRICT = {
    "default-src": ["'none'"],
    "style-src": ["'self'"],
    "img-src": ["'self'"],
    "form-action": ["'self'"],
    "base-uri": ["'none'"],
    "frame-ancestors": ["'none'"],
}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class Server:
    """One for all tests, in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._runner = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(30)
        self._port: int = self._runner.addresses[0][1]

    async def _start(self) -> web.AppRunner:
        app = web.Application()
        app.add_routes(routes())
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """path: as it goes over the wire; nothing in it is tidied up."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


class Document(HTMLParser):
    """What a document has: ids, addresses it names, and elements with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]

    @property
    def ids(self) -> list[str]:
        return [attrs["id"] or "" for _, attrs in self.elements if "id" in attrs]

    @property
    def addresses(self) -> set[str]:
        named = ("href", "src", "action")
        return {attrs[name] or "" for _, attrs in self.elements for name in named if name in attrs}


def documents() -> list[str]:
    manual = Manual.read()
    pages = [
        f"/help/{language}/{page.id}" for language in LANGUAGES for page in manual.pages(language)
    ]
    others = [f"/help/{language}{rest}" for language in LANGUAGES for rest in ("", "/search")]
    return [*pages, *others, "/help/en/search?q=size", f"/help/zh/search?q={quote('尺寸')}"]


DOCUMENTS = documents()


def test_there_are_all_pages_in_both_languages() -> None:
    files = {f"/help/{path.parent.name}/{path.stem}" for path in DOCS.glob("*/*.md")}
    assert len(files) > 20
    assert files <= set(DOCUMENTS)


@pytest.mark.parametrize("address", DOCUMENTS)
def test_every_document_is_whole_safe_and_readable(server: Server, address: str) -> None:
    answer = server.ask(address)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    policy = [part.split() for part in answer.headers["Content-Security-Policy"].split(";")]
    assert {name: values for name, *values in policy} == STRICT
    language = address.split("/")[2]
    found = Document(answer.text)
    assert found.all("html") == [{"lang": language}]
    assert answer.headers["Content-Language"] == language
    assert len(found.all("h1")) == len(found.all("title")) == len(found.all("main")) == 1
    assert any(meta.get("name") == "viewport" for meta in found.all("meta"))
    assert len(found.ids) == len(set(found.ids))
    # No script, and nothing that the policy would stop.
    assert found.all("script") == found.all("style") == found.all("iframe") == []
    assert [a for _, attrs in found.elements for a in attrs if a == "style" or a[:2] == "on"] == []
    # Keyboard: the first link goes to the text, and the form can be sent without a script.
    assert found.all("a")[0]["href"] == "#content"
    assert "content" in found.ids
    (form,) = found.all("form")
    assert form["method"] == "get" and form["action"] == f"/help/{language}/search"
    labelled = {label["for"] for label in found.all("label")}
    assert {field["id"] for field in found.all("input")} == labelled == {"q"}


def test_every_address_in_every_document_is_there(server: Server) -> None:
    """All links of all pages, with the headings that they name."""
    asked: dict[str, Answer] = {}

    def fetch(path: str) -> Answer:
        if path not in asked:
            asked[path] = server.ask(path)
        return asked[path]

    followed = 0
    for address in DOCUMENTS:
        for link in Document(fetch(address).text).addresses - {"/"}:
            if link.startswith("https://"):
                continue
            path, _, anchor = link.partition("#")
            answer = fetch(path or address)
            assert answer.status == 200, (address, link)
            if anchor:
                assert anchor in Document(answer.text).ids, (address, link)
            followed += 1
    assert followed > 500


@pytest.mark.parametrize("address", DOCUMENTS)
def test_the_switch_of_language_stays_on_the_page(server: Server, address: str) -> None:
    language = address.split("/")[2]
    other = {"en": "zh", "zh": "en"}[language]
    switches = [
        link["href"] for link in Document(server.ask(address).text).all("a") if "hreflang" in link
    ]
    assert switches == [
        address.replace(f"/help/{language}", f"/help/{other}").removesuffix("/index")
    ]


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("zh-Hant-TW", "zh"),
        ("de,en;q=0.5,zh;q=0.3", "en"),
        ("en;q=0.2, ZH;q=0.7", "zh"),
        ("zh;q=0", "en"),
        ("zh;q=x", "en"),
        ("fr", "en"),
        ("", "en"),
        ("x" * 4000, "en"),
    ],
)
def test_the_front_door_leads_to_the_readers_language(
    server: Server, accepted: str, language: str
) -> None:
    for door in ("/help", "/help/"):
        answer = server.ask(door, Accept_Language=accepted)
        assert answer.status == 302
        assert answer.headers["Location"] == f"/help/{language}"
        assert answer.headers["Vary"] == "Accept-Language"
        assert answer.headers["Content-Security-Policy"] == POLICY
    assert server.ask(f"/help/{language}/").headers["Location"] == f"/help/{language}"


@pytest.mark.parametrize(
    "path",
    [
        "/help/en/no-such-page",
        "/help/fr",
        "/help/fr/index",
        "/help/EN",
        "/help/en/index.md",
        "/help/en/..",
        "/help/en/../zh/index.html",
        "/help/en/..%2f",
        "/help/en/..%2f..%2fREADME",
        "/help/en/..%2fzh%2findex",
        "/help/en/%2e%2e%2f%2e%2e%2fpyproject.toml",
        "/help/en/..%5c..%5cREADME",
        "/help/..%2fen/index",
        "/help/en//etc/passwd",
        "/help/en/%00",
        "/help/en/index%00.md",
        "/help/en/index/more",
        "/help/pictures/no.png",
        "/help/pictures/..%2fen%2findex.md",
        "/help/pictures/../en/index.md",
        "/help/pictures/%2fetc%2fpasswd",
        "/help/pictures",
        "/help/manual.html",
        "/help/en.json",
        "/help/%ff%fe",
        "/help/en/" + "x" * 4000,
    ],
)
def test_what_is_not_there_is_a_readable_page_and_never_a_file(server: Server, path: str) -> None:
    answer = server.ask(path, Accept_Language="zh")
    assert answer.status == 404
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"] == POLICY
    found = Document(answer.text)
    assert len(found.all("h1")) == 1
    assert found.all("form")
    language = answer.headers["Content-Language"]
    # In the language of the address, else in the reader's.
    assert language == ("en" if path.startswith("/help/en/") and path.count("/") == 3 else "zh")
    assert f'<a href="/help/{language}">' in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(server: Server, method: str) -> None:
    assert {server.ask(path, method).status for path in ("/help", "/help/en/index")} == {405}


def test_heads_are_answered(server: Server) -> None:
    # The script in ComfyUI asks so whether there is a manual.
    answer = server.ask("/help/manual.css", "HEAD")
    assert (answer.status, answer.text) == (200, "")


def test_the_style_loads_nothing_and_is_for_light_dark_and_phones(server: Server) -> None:
    answer = server.ask("/help/manual.css")
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    assert "url(" not in answer.text and "@import" not in answer.text
    for wanted in ("prefers-color-scheme: dark", "min-width", ":focus-visible"):
        assert wanted in answer.text


def test_pictures_are_served_as_they_are(server: Server) -> None:
    files = list((DOCS / "pictures").iterdir())
    assert files
    for file in files:
        answer = server.ask(f"/help/pictures/{file.name}")
        assert answer.status == 200
        assert answer.body == file.read_bytes()
        assert answer.headers["Content-Type"].startswith("image/")
        assert answer.headers["Content-Security-Policy"] == POLICY


@pytest.mark.parametrize(
    ("language", "query", "place"),
    [
        ("en", "colour patches", "/help/en/troubleshooting#colour-patches"),
        ("zh", "肤色保护", "/help/zh/portrait-or-building#what-the-presets-set"),
    ],
)
def test_a_search_links_to_the_section_and_keeps_the_words(
    server: Server, language: str, query: str, place: str
) -> None:
    answer = server.ask(f"/help/{language}/search?q={quote(query)}")
    found = Document(answer.text)
    assert place in {link["href"] for link in found.all("a")}
    assert found.all("input")[0]["value"] == query
    assert found.all("mark")
    other = {"en": "zh", "zh": "en"}[language]
    assert f"/help/{other}/search?q={quote(query)}" in found.addresses


@pytest.mark.parametrize(
    "query",
    ['"><script>alert(1)</script>', "<b>size</b>", "$query ${title}", "&lt;", "\x00", "\u202e"],
)
def test_what_is_sought_stays_text(server: Server, query: str) -> None:
    answer = server.ask(f"/help/en/search?q={quote(query)}")
    assert answer.status == 200
    found = Document(answer.text)
    assert found.all("script") == found.all("b") == []
    assert query in [field["value"] for field in found.all("input")] or query == "\x00"


def test_odd_queries_are_answered(server: Server) -> None:
    for query in ("", "?q=", "?q=%ff", "?q=a&q=b", "?x=1", "?q=" + "a%20" * 1500):
        assert server.ask(f"/help/en/search{query}").status == 200
    nothing = server.ask("/help/en/search?q=zebrafish").text
    assert "zebrafish" in nothing and not re.search(r'<ol class="hits">\s*<li>', nothing)
