"""Markdown as markdown-it-py reads it here: tables, and no HTML of the author's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

# Chinese has no spaces, so a line's end between two of its characters is none either.
WIDE: Final = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\u2018-\u201d\u2026\u2014]")
_BREAKS: Final = ("softbreak", "hardbreak")


@dataclass(frozen=True)
class Section:
    """A heading and what follows it up to the next one.

    level: 1 is the page's title. text: all words, without mark-up.
    """

    level: int
    title: str
    anchor: str
    text: str


def parse(text: str) -> list[Token]:
    """The tokens of a page; raw HTML is text, and line ends within Chinese are gone."""
    tokens = _reader().parse(text)
    for token in tokens:
        if token.type == "inline" and token.children:
            _join_chinese(token.children)
    return tokens


def titles(tokens: Sequence[Token]) -> tuple[str, ...]:
    """The headings, in order."""
    return tuple(_words(tokens[index + 1]) for index, _ in _headings(tokens))


def name_headings(tokens: Sequence[Token], anchors: Sequence[str]) -> None:
    """Give every heading its id."""
    for (index, _), anchor in zip(_headings(tokens), anchors, strict=True):
        tokens[index].attrSet("id", anchor)


def sections(tokens: Sequence[Token], anchors: Sequence[str]) -> tuple[Section, ...]:
    """The page cut at its headings; what stands before the first one belongs to none."""
    starts = list(_headings(tokens))
    ends = [index for index, _ in starts[1:]] + [len(tokens)]
    return tuple(
        Section(level, _words(tokens[start + 1]), anchor, _text(tokens[start + 3 : end]))
        for (start, level), end, anchor in zip(starts, ends, anchors, strict=True)
    )


def to_html(tokens: Sequence[Token], table_label: str) -> str:
    """table_label: what a screen reader calls a table that is scrolled sideways."""
    reader = _reader()
    html: str = reader.renderer.render(tokens, reader.options, {"table_label": table_label})
    return html


def _reader() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer)
    return reader.enable("table")


class _Renderer(RendererHTML):
    """Tables and code that are wider than a phone scroll by themselves, by keyboard too."""

    def table_open(
        self, tokens: Sequence[Token], index: int, options: object, env: dict[str, str]
    ) -> str:
        label = env["table_label"]
        return f'<div class="wide" role="region" tabindex="0" aria-label="{label}"><table>\n'

    def table_close(self, *_: object) -> str:
        return "</table></div>\n"

    def code_block(self, tokens: Sequence[Token], index: int, *_: object) -> str:
        return _code(tokens[index].content)

    def fence(self, tokens: Sequence[Token], index: int, *_: object) -> str:
        return _code(tokens[index].content)


def _code(content: str) -> str:
    return f'<pre tabindex="0"><code>{escape(content)}</code></pre>\n'


def _headings(tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """Index and level of every heading."""
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            yield index, int(token.tag[1:])


def _text(tokens: Sequence[Token]) -> str:
    found = (
        _words(token) if token.type == "inline" else token.content
        for token in tokens
        if token.content
    )
    return " ".join(" ".join(found).split())


def _words(inline: Token) -> str:
    """The words of a line of mark-up; a picture gives what it shows in words."""
    return "".join(
        " " if child.type in _BREAKS else child.content for child in inline.children or ()
    )


def _join_chinese(children: Sequence[Token]) -> None:
    for index, child in enumerate(children):
        if child.type != "softbreak":
            continue
        before = next((one.content for one in reversed(children[:index]) if one.content), "")
        after = next((one.content for one in children[index + 1 :] if one.content), "")
        if WIDE.match(before[-1:]) and WIDE.match(after[:1]):
            child.type, child.tag, child.content = "text", "", ""
