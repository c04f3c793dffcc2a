"""The request target (RFC 9112, 3.2) into one path that everybody reads alike, or a refusal.

Proxy and host must see the same path, so only what has a single reading passes: the path is
decoded here once, and encoded anew for the host.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from .refusals import Denied

_LONGEST: Final = 4096
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
_ESCAPE: Final = re.compile(r"%[0-9A-Fa-f]{2}")
# Encoded, these are what readers differ about: NUL, the percent sign, dot, slash, backslash.
_TRICKY: Final = re.compile(r"%(?:00|25|2e|2f|5c)", re.IGNORECASE)
# The one place where the host's own frontend sends an encoded slash: a file name in one segment.
_FILE_NAMES: Final = re.compile(r"/(?:comfyui/)?(?:api/)?userdata/")
_SAFE: Final = "/!$&'()*+,;=:@~"
_MOST_FIELDS: Final = 100
# Pages ask for the same addresses again and again.
_REMEMBERED: Final = 1024


@dataclass(frozen=True)
class Target:
    """path: decoded, from "/" on. query: as it came, without its question mark."""

    path: str
    query: str

    def fields(self) -> dict[str, str]:
        """The query's fields. Raises Denied for one that is given twice: which one counts?"""
        try:
            pairs = parse_qsl(
                self.query, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
            )
        except ValueError as error:
            raise _bad("the query is not UTF-8, or too long") from error
        fields = dict(pairs)
        if len(fields) != len(pairs):
            raise _bad("a field of the query is given twice")
        return fields


@lru_cache(_REMEMBERED)
def parse(raw: str) -> Target:
    """raw: the target as it came. Raises Denied (400)."""
    if not raw.startswith("/"):
        raise _bad("it does not begin with a slash")
    if len(raw) > _LONGEST or not _VISIBLE.fullmatch(raw):
        raise _bad("it is too long or holds characters that must be encoded")
    path, _, query = raw.partition("?")
    if "#" in raw or "\\" in raw:
        raise _bad("it holds a fragment or a backslash")
    for part in (path, query):
        if "%" in _ESCAPE.sub("", part):
            raise _bad("a percent sign is not followed by two hexadecimal digits")
    if "%00" in query:
        raise _bad("the query holds a NUL")
    return Target(_decoded(path), query)


def encoded(path: str) -> str:
    """A decoded path as it is sent to the host."""
    return quote(path, safe=_SAFE)


def is_plain_name(name: str) -> bool:
    """Whether `name` is one step of a path in every reading: no dots alone, no separators."""
    folded = unicodedata.normalize("NFKC", name)
    return all(
        text.strip(" .") != "" and text.isprintable() and not re.search(r"[/\\:;]", text)
        for text in (name, folded)
    )


def _decoded(path: str) -> str:
    if found := _FILE_NAMES.match(path):
        # Checked like every slash: what is between two of them must be a plain name.
        path = path[: found.end()] + re.sub("%2f", "/", path[found.end() :], flags=re.IGNORECASE)
    if _TRICKY.search(path):
        raise _bad("a dot, a slash, a backslash, a percent sign or a NUL is encoded")
    try:
        text = unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise _bad("it is not UTF-8") from error
    steps = text.split("/")[1:]
    if steps and steps[-1] == "":  # a slash at the end
        steps.pop()
    for step in steps:
        if not is_plain_name(step):
            raise _bad("one of its steps is empty, dots only, or holds a forbidden character")
    return text


def _bad(why: str) -> Denied:
    return Denied(
        400,
        "path",
        f"The address cannot be used: {why}. Write it without tricks.",
        "地址无法使用：其中含有有歧义的写法。请使用普通地址。",
    )
