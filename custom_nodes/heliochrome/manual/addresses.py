"""Where the manual's pages are, and which language a reader gets."""

from __future__ import annotations

from typing import Final, Literal, get_args
from urllib.parse import quote

Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)

ROOT: Final = "/help"
STYLE: Final = f"{ROOT}/manual.css"
PICTURES: Final = f"{ROOT}/pictures"
INDEX: Final = "index"  # the front page; its address is that of the language


def known_language(name: str) -> Language | None:
    """The language of ours with this name, as an address has it."""
    return next((language for language in LANGUAGES if language == name), None)


def spoken(accepted: str) -> Language:
    """The language of ours that Accept-Language (RFC 9110, 12.5.4) puts first; else English."""
    best: tuple[float, Language] = (0.0, "en")
    for item in accepted.split(","):
        tag, _, rest = item.strip().partition(";")
        try:
            weight = float(rest.strip().removeprefix("q=") or "1")
        except ValueError:
            continue
        language = known_language(tag.strip().lower().split("-")[0])
        if language and weight > best[0]:
            best = (weight, language)
    return best[1]


def address_of(language: Language, target: str) -> str:
    """target: "page" or "page#anchor", as notices name their help."""
    page, mark, anchor = target.partition("#")
    below = "" if page == INDEX else f"/{page}"
    return f"{ROOT}/{language}{below}{mark}{quote(anchor)}"


def search_address(language: Language, query: str = "") -> str:
    """The search page, with what was looked for if something was."""
    asked = f"?q={quote(query)}" if query else ""
    return f"{ROOT}/{language}/search{asked}"
