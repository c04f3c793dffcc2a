"""The manual as a whole: its pages in every language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from markdown_it.token import Token

from .addresses import INDEX, LANGUAGES, Language
from .anchors import shared, slugs
from .links import Place, resolve
from .markdown import Section, name_headings, parse, sections, titles, to_html
from .search import Entry, Hit, find

HELP_DOCS: Final = Path(__file__).parents[1] / "help_docs"

# As the pages are listed; those that are not named here follow in alphabetical order.
_ORDER: Final = (
    "index",
    "quick-start",
    "portrait-or-building",
    "which-size",
    "models",
    "troubleshooting",
    "privacy",
    "command-line",
    "studio",
    "gateway",
    "appliance",
    "marketplace",
    "api",
    "stable-diffusion",
    "serverless",
)
_TABLE: Final[Mapping[Language, str]] = {"en": "Table", "zh": "表格"}
_PICTURES: Final = frozenset({".png", ".jpg", ".webp", ".svg"})


@dataclass(frozen=True)
class Page:
    """sections: the first is the page's title and what stands right below it."""

    id: str
    language: Language
    title: str
    html: str
    sections: tuple[Section, ...]


@dataclass(frozen=True)
class Manual:
    """pictures: the files by their names."""

    _pages: Mapping[Language, Mapping[str, Page]]
    pictures: Mapping[str, bytes]
    _entries: Mapping[Language, tuple[Entry, ...]] = field(init=False)

    def __post_init__(self) -> None:
        entries = {
            language: tuple(
                Entry(page.id, page.title, section)
                for page in pages.values()
                if page.id != INDEX  # it only names what is on the others
                for section in page.sections
            )
            for language, pages in self._pages.items()
        }
        object.__setattr__(self, "_entries", MappingProxyType(entries))

    @classmethod
    def read(cls, folder: Path = HELP_DOCS) -> Manual:
        """The pages `<language>/<id>.md` and the files of `pictures`. Raises OSError."""
        tokens = {
            (language, path.stem): parse(path.read_text(encoding="utf-8"))
            for language in LANGUAGES
            for path in sorted((folder / language).glob("*.md"), key=_rank)
        }
        own = {key: slugs(titles(found)) for key, found in tokens.items()}
        anchors = {key: shared(own[key], own.get(("en", key[1]), own[key])) for key in own}
        # A link may name an anchor as the file has it, which GitHub knows, or as we do.
        targets = {
            key: dict(zip((*own[key], *anchors[key]), anchors[key] * 2, strict=True)) for key in own
        }
        pages: dict[Language, dict[str, Page]] = {language: {} for language in LANGUAGES}
        for (language, name), found in tokens.items():
            resolve(found, Place(language, name, targets))
            pages[language][name] = _page(language, name, found, anchors[language, name])
        pictures = {
            path.name: path.read_bytes()
            for path in sorted((folder / "pictures").glob("*.*"))
            if path.suffix in _PICTURES
        }
        return cls(pages, pictures)

    def pages(self, language: Language) -> tuple[Page, ...]:
        """In the order in which they are listed."""
        return tuple(self._pages[language].values())

    def page(self, language: Language, name: str) -> Page | None:
        """The page with this id; None if there is none."""
        return self._pages[language].get(name)

    def search(self, language: Language, query: str) -> list[Hit]:
        """The sections that have all words of the query; none for an empty one."""
        return find(self._entries[language], query)


def _rank(path: Path) -> tuple[int, str]:
    name = path.stem
    return (_ORDER.index(name) if name in _ORDER else len(_ORDER), name)


def _page(language: Language, name: str, tokens: list[Token], anchors: tuple[str, ...]) -> Page:
    name_headings(tokens, anchors)
    found = sections(tokens, anchors)
    title = found[0].title if found else name
    return Page(name, language, title, to_html(tokens, _TABLE[language]), found)
