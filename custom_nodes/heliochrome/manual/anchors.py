"""The names of headings, made the way GitHub makes them, and the same in every language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

_DROPPED: Final = re.compile(r"[^\w\- ]")


def slugs(titles: Iterable[str]) -> tuple[str, ...]:
    """GitHub's anchors of a page's headings, in their order; a repeated one gets a number."""
    seen: dict[str, int] = {}
    made: list[str] = []
    for title in titles:
        slug = _DROPPED.sub("", title.strip().lower()).replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        made.append(f"{slug}-{count}" if count else slug)
    return tuple(made)


def shared(own: Sequence[str], english: Sequence[str]) -> tuple[str, ...]:
    """The anchors that a page's headings get: those of the English page, heading by heading.

    So one link serves all languages, and GitHub's own anchors work in the files. A page that
    has other headings than the English one keeps its own.
    """
    return tuple(english if len(english) == len(own) else own)
