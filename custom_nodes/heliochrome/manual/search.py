"""Finding the sections that hold all the words somebody looks for."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from .markdown import WIDE, Section

MAX_QUERY: Final = 100  # characters; the rest is not looked at
MAX_HITS: Final = 40
_BEFORE: Final = 40  # characters of an excerpt before the first word found
_EXCERPT: Final = 180


@dataclass(frozen=True)
class Hit:
    """page: its id; title: of the page; section and anchor: where in it. excerpt: plain text."""

    page: str
    title: str
    section: str
    anchor: str
    excerpt: str


class Entry:
    """A section as it is searched, folded once."""

    def __init__(self, page: str, title: str, section: Section) -> None:
        self.page, self.title, self.section = page, title, section
        self._page = fold(title)
        self._heading = fold(section.title)
        self._own = f"{self._heading}\n{fold(section.text)}"

    def rank(self, words: Sequence[str]) -> int | None:
        """0 where the heading has all words, 1 where it has some, 2 else; None: not found.

        The page's name helps, but alone it is not enough: all of its sections would be found.
        """
        if not all(word in self._own or word in self._page for word in words):
            return None
        if not any(word in self._own for word in words):
            return None
        if not any(word in self._heading for word in words):
            return 2
        return int(not all(word in self._heading or word in self._page for word in words))

    def hit(self, words: Sequence[str]) -> Hit:
        excerpt = _excerpt(self.section.text, words)
        return Hit(self.page, self.title, self.section.title, self.section.anchor, excerpt)


def words_of(query: str) -> tuple[str, ...]:
    """What a query asks for. Chinese needs no spaces: what stands together is sought together."""
    plain = unicodedata.normalize("NFKC", query[:MAX_QUERY])
    return tuple(dict.fromkeys(map(fold, plain.split())))


def find(entries: Iterable[Entry], query: str) -> list[Hit]:
    """The sections with all words of the query, those first whose heading has them."""
    words = words_of(query)
    if not words:
        return []
    ranked = [(rank, entry) for entry in entries if (rank := entry.rank(words)) is not None]
    ranked.sort(key=lambda found: found[0])
    return [entry.hit(words) for _, entry in ranked[:MAX_HITS]]


def fold(text: str) -> str:
    """Text in which capitals and full-width letters count as the plain ones, and in which it
    does not matter whether there is a space beside a Chinese character."""
    return "".join(_pieces(text))


def marked(text: str, query: str) -> list[tuple[str, bool]]:
    """The text in pieces, each with whether it is a word of the query."""
    flags = [False] * len(text)
    for start, end in _places(text, words_of(query)):
        flags[start:end] = [True] * (end - start)
    pieces: list[tuple[str, bool]] = []
    for char, flag in zip(text, flags, strict=True):
        if pieces and pieces[-1][1] == flag:
            pieces[-1] = (pieces[-1][0] + char, flag)
        else:
            pieces.append((char, flag))
    return pieces


def _pieces(text: str) -> list[str]:
    """What becomes of each character."""
    pieces = [unicodedata.normalize("NFKC", char).casefold() for char in text]
    for index, char in enumerate(text):
        beside = text[max(0, index - 1) : index + 2]
        if char == " " and WIDE.search(beside):
            pieces[index] = ""
    return pieces


def _places(text: str, words: Sequence[str]) -> list[tuple[int, int]]:
    """Where the words stand in the text, which folding may make longer."""
    pieces = _pieces(text)
    origin = [index for index, piece in enumerate(pieces) for _ in piece]
    folded = "".join(pieces)
    places: list[tuple[int, int]] = []
    for word in words:
        at = folded.find(word)
        while at >= 0:
            places.append((origin[at], origin[at + len(word) - 1] + 1))
            at = folded.find(word, at + len(word))
    return places


def _excerpt(text: str, words: Sequence[str]) -> str:
    first = min((start for start, _ in _places(text, words)), default=0)
    start = max(0, first - _BEFORE)
    end = start + _EXCERPT
    if start and (space := text.find(" ", start, first)) >= 0:
        start = space + 1
    cut = text[start:end]
    if end < len(text) and (space := cut.rfind(" ")) > _EXCERPT // 2:
        cut = cut[:space]
    return f"{'… ' * bool(start)}{cut}{' …' * (start + len(cut) < len(text))}"
