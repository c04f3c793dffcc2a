"""The user guide: pages of the manual as one document to print, with nothing outside of it."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Final

from heliochrome.manual import Language, Manual, Page

# As they are printed. A link to a page that is not here becomes text.
PAGES: Final = (
    "marketplace",
    "quick-start",
    "portrait-or-building",
    "which-size",
    "models",
    "troubleshooting",
    "privacy",
    "studio",
    "appliance",
    "gateway",
)
_TITLES: Final[Mapping[Language, tuple[str, str, str]]] = {
    "en": ("User guide", "Contents", "Version"),
    "zh": ("使用指南", "目录", "版本"),
}
_TYPES: Final = {".jpg": "jpeg", ".png": "png", ".svg": "svg+xml", ".webp": "webp"}
_PARTS: Final = 2  # the level of headings that the contents list below a page
STYLE: Final = Path(__file__).with_suffix(".css")


def document(manual: Manual, language: Language, version: str, logo: str) -> str:
    """The whole HTML document. logo: SVG. Raises KeyError for a page that is not in the manual."""
    pages = [_page(manual, language, name) for name in PAGES]
    said, contents, of_version = _TITLES[language]
    style = STYLE.read_text("utf-8")
    return "\n".join(
        (
            f'<!doctype html>\n<html lang="{language}"><head><meta charset="utf-8">',
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
            "style-src 'unsafe-inline'; img-src data:\">",
            f"<title>Heliochrome – {said}</title><style>{style}</style></head><body>",
            f'<section class="cover"><img alt="" src="{_data(logo.encode(), ".svg")}">',
            f"<h1>Heliochrome</h1><p>{said}</p><p>{of_version} {escape(version)}</p></section>",
            f'<section class="contents"><h1>{contents}</h1>{_contents(pages)}</section>',
            *(f"<section>{_own(page, manual)}</section>" for page in pages),
            "</body></html>\n",
        )
    )


def _page(manual: Manual, language: Language, name: str) -> Page:
    found = manual.page(language, name)
    if found is None:
        raise KeyError(f"The manual has no page {name} in {language!r}. Take it out of PAGES.")
    return found


def _contents(pages: list[Page]) -> str:
    lines = []
    for page in pages:
        parts = "".join(
            f'<li><a href="#{page.id}--{escape(section.anchor)}">{escape(section.title)}</a></li>'
            for section in page.sections
            if section.level == _PARTS
        )
        top = f"{page.id}--{escape(page.sections[0].anchor)}"
        lines.append(f'<li><a href="#{top}">{escape(page.title)}</a><ul>{parts}</ul></li>')
    return f"<ul>{''.join(lines)}</ul>"


def _own(page: Page, manual: Manual) -> str:
    """The page's HTML with anchors of its own, as several pages may have the same."""
    html = re.sub(r' id="([^"]*)"', rf' id="{page.id}--\1"', page.html)
    html = html.replace(' tabindex="0"', "")

    def link(found: re.Match[str]) -> str:
        address, words = found["address"], found["words"]
        if address.startswith(("https://", "http://")):
            return found[0]
        path, _, anchor = address.partition("#")
        name = path.rpartition("/")[2] if path else page.id
        other = next((n for n in PAGES if n == name), None)
        if other is None or (path and f"/{page.language}/" not in path):
            return words
        target = manual.page(page.language, other)
        first = target.sections[0].anchor if target else ""
        return f'<a href="#{other}--{anchor or first}">{words}</a>'

    html = re.sub(
        r'<a href="(?P<address>[^"]*)"[^>]*>(?P<words>.*?)</a>', link, html, flags=re.DOTALL
    )

    def picture(found: re.Match[str]) -> str:
        name = found[1]
        return f'src="{_data(manual.pictures[name], Path(name).suffix)}"'

    return re.sub(r'src="/help/pictures/([^"]*)"', picture, html)


def _data(content: bytes, ending: str) -> str:
    return f"data:image/{_TYPES[ending]};base64,{base64.b64encode(content).decode()}"
