"""Links as the files have them, turned into addresses of the manual; others are taken out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from markdown_it.token import Token

from .addresses import PICTURES, Language, address_of, known_language

_PAGE: Final = re.compile(r"(?:\.\./(?P<language>\w+)/)?(?P<page>[\w-]+)\.md")
_PICTURE: Final = re.compile(r"\.\./pictures/([\w-]+\.\w+)")
_OUTSIDE: Final = re.compile(r"https?://", re.IGNORECASE)

# Of each language's pages: the anchors in the file, and what the manual calls them.
Anchors = Mapping[tuple[Language, str], Mapping[str, str]]


@dataclass(frozen=True)
class Place:
    """A page that links start from, and what there is to link to."""

    language: Language
    page: str
    anchors: Anchors

    def address(self, link: str) -> str | None:
        """Where a link of a file leads in the manual; None if nowhere that we know."""
        if _OUTSIDE.match(link):
            return link
        path, mark, fragment = unquote(link).partition("#")
        language, page = self.language, self.page
        if path:
            found = _PAGE.fullmatch(path)
            if not found:
                return None
            page = found["page"]
            named = known_language(found["language"] or self.language)
            if named is None:
                return None
            language = named
        known = self.anchors.get((language, page))
        if known is None:
            return None
        anchor = known.get(fragment)
        if mark and anchor is None:
            return None
        if not path:
            return f"#{quote(anchor or '')}"
        return address_of(language, f"{page}#{anchor}" if mark else page)


def resolve(tokens: Sequence[Token], place: Place) -> None:
    """Turn the links and pictures of a page into addresses; what leads nowhere becomes text."""
    for token in tokens:
        if token.type == "inline" and token.children:
            token.children = _resolved(token.children, place)


def _resolved(children: Sequence[Token], place: Place) -> list[Token]:
    kept: list[Token] = []
    dropping = 0  # links do not nest, but a closing mark must go with its opening one
    for child in children:
        if child.type == "link_open":
            address = place.address(str(child.attrGet("href") or ""))
            if address is None:
                dropping += 1
                continue
            child.attrSet("href", address)
            if _OUTSIDE.match(address):
                child.attrSet("rel", "noreferrer")
        elif child.type == "link_close" and dropping:
            dropping -= 1
            continue
        elif child.type == "image":
            found = _PICTURE.fullmatch(unquote(str(child.attrGet("src") or "")))
            if found is None:
                kept.append(Token("text", "", 0, content=child.content))
                continue
            child.attrSet("src", f"{PICTURES}/{found[1]}")
        kept.append(child)
    return kept
