"""Whole HTML documents: a page, what a search found, and the page that is not there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Final

from .addresses import INDEX, LANGUAGES, Language, address_of, search_address
from .book import Manual, Page
from .search import MAX_QUERY, Hit, marked

_PAGES: Final = Path(__file__).with_name("pages")
_LISTED_LEVEL: Final = 2  # of the headings that the list of a page's parts shows


class Documents:
    """The documents of a manual. They have no script, and nothing in them comes from elsewhere."""

    def __init__(self, manual: Manual) -> None:
        self.manual = manual
        self.style = (_PAGES / "manual.css").read_bytes()
        self._frame = Template((_PAGES / "manual.html").read_text(encoding="utf-8"))
        self._texts: Mapping[Language, Mapping[str, str]] = {
            language: json.loads((_PAGES / f"{language}.json").read_text(encoding="utf-8"))
            for language in LANGUAGES
        }

    def page(self, page: Page) -> str:
        others = {
            language: address_of(language, page.id)
            for language in LANGUAGES
            if self.manual.page(language, page.id)
        }
        return self._framed(page.language, page.title, page.html, others, current=page)

    def search(self, language: Language, query: str) -> str:
        """What was found, or the bare form for an empty query."""
        query = query[:MAX_QUERY].strip()
        hits = self.manual.search(language, query)
        texts = self._texts[language]
        said = _filled(texts["found" if hits else "nothing"], query=query, count=str(len(hits)))
        found = "".join(_shown(language, hit, query) for hit in hits)
        content = f"<h1>{escape(texts['search'])}</h1>\n"
        if query:
            content += f'<p role="status">{said}</p>\n<ol class="hits">\n{found}</ol>\n'
        others = {each: search_address(each, query) for each in LANGUAGES}
        return self._framed(language, texts["search"], content, others, query=query)

    def missing(self, language: Language) -> str:
        """In place of a page that is not there."""
        texts = self._texts[language]
        link = f'<a href="{address_of(language, INDEX)}">{escape(texts["front"])}</a>'
        content = (
            f"<h1>{escape(texts['missing'])}</h1>\n<p>{escape(texts['missing_hint'])}</p>\n"
            f"<p>{link}</p>\n"
        )
        others = {each: address_of(each, INDEX) for each in LANGUAGES}
        return self._framed(language, texts["missing"], content, others)

    def _framed(
        self,
        language: Language,
        title: str,
        content: str,
        addresses: Mapping[Language, str],
        *,
        current: Page | None = None,
        query: str = "",
    ) -> str:
        texts = self._texts[language]
        return self._frame.substitute(
            {name: escape(text) for name, text in texts.items()},
            language=language,
            title=escape(title),
            query=escape(query),
            longest=MAX_QUERY,
            content=content,
            home=address_of(language, INDEX),
            search_address=search_address(language),
            languages=self._switch(language, addresses),
            pages="".join(_listed(page, current) for page in self.manual.pages(language)),
        )

    def _switch(self, language: Language, addresses: Mapping[Language, str]) -> str:
        return "".join(
            f'<a href="{escape(address)}" lang="{each}" hreflang="{each}">'
            f"{escape(self._texts[each]['own_name'])}</a>\n"
            for each, address in addresses.items()
            if each != language
        )


def _listed(page: Page, current: Page | None) -> str:
    """A page in the list of all; the one that is shown with its parts."""
    address = escape(address_of(page.language, page.id))
    title = escape(page.title)
    if page is not current:
        return f'<li><a href="{address}">{title}</a></li>\n'
    parts = "".join(
        f'<li><a href="#{escape(section.anchor)}">{escape(section.title)}</a></li>\n'
        for section in page.sections
        if section.level == _LISTED_LEVEL
    )
    below = f"\n<ul>\n{parts}</ul>\n" if parts else ""
    return f'<li><a href="{address}" aria-current="page">{title}</a>{below}</li>\n'


def _shown(language: Language, hit: Hit, query: str) -> str:
    address = escape(address_of(language, f"{hit.page}#{hit.anchor}"))
    where = hit.title if hit.section == hit.title else f"{hit.title} – {hit.section}"
    return (
        f'<li><a href="{address}">{_marks(where, query)}</a>\n'
        f"<p>{_marks(hit.excerpt, query)}</p></li>\n"
    )


def _marks(text: str, query: str) -> str:
    pieces: Iterable[tuple[str, bool]] = marked(text, query)
    return "".join(
        f"<mark>{escape(piece)}</mark>" if found else escape(piece) for piece, found in pieces
    )


def _filled(text: str, **values: str) -> str:
    return escape(Template(text).substitute(values))
