"""Markdown becomes harmless HTML, with the same anchors in every language."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from heliochrome.manual import Manual, Page


def rendered(folder: Path, en: str, zh: str = "# 页", **more: str) -> tuple[Page, Page]:
    """Both languages of the page `one`. more: further English pages."""
    for language, name, text in (
        ("en", "one", en),
        ("zh", "one", zh),
        *(("en", name, text) for name, text in more.items()),
    ):
        (folder / language).mkdir(exist_ok=True)
        (folder / language / f"{name}.md").write_text(text, encoding="utf-8")
    manual = Manual.read(folder)
    pages = manual.page("en", "one"), manual.page("zh", "one")
    assert pages[0] and pages[1]
    return pages[0], pages[1]


class Elements(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def links(html: str) -> list[str | None]:
    return [attrs.get("href") for tag, attrs in Elements(html).found if tag == "a"]


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "text <img src=x onerror=alert(1)> text",
        "<style>body{display:none}</style>",
        "<!-- <b>hidden</b> -->",
        "a `<b>code</b>` b",
        "    <b>code</b>",
        "```<b>\n<b>code</b>\n```",
        "| <b>a</b> |\n| --- |\n| <i>b</i> |",
    ],
)
def test_raw_html_is_text(text: str, tmp_path: Path) -> None:
    page, _ = rendered(tmp_path, f"# One\n\n{text}\n")
    tags = {tag for tag, _ in Elements(page.html).found}
    assert tags <= {"h1", "p", "pre", "code", "div", "table", "thead", "tbody", "tr", "th", "td"}
    assert "&lt;" in page.html


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "java&#115;cript:alert(1)",
        "vbscript:x",
        "data:text/html,x",
        "file:///etc/passwd",
        "//other.example/x",
        "/etc/passwd",
        "../../../etc/passwd.md",
        "../../README.md",
        "..%2f..%2fREADME.md",
        "missing.md",
        "two.md#missing",
        "../fr/two.md",
        "#missing",
    ],
)
def test_links_that_lead_nowhere_we_know_become_text(link: str, tmp_path: Path) -> None:
    page, _ = rendered(tmp_path, f"# One\n\n[words]({link}) and <{link}>\n", two="# Two\n")
    assert links(page.html) == []
    assert "words" in page.html


def test_links_between_pages_become_addresses(tmp_path: Path) -> None:
    text = "# One\n\n[a](two.md) [b](two.md#a-part) [c](#one) [d](../zh/one.md) [e](https://x.example/)"
    page, _ = rendered(tmp_path, text, two="# Two\n\n## A part\n")
    assert links(page.html) == [
        "/help/en/two",
        "/help/en/two#a-part",
        "#one",
        "/help/zh/one",
        "https://x.example/",
    ]


def test_a_picture_is_shown_only_from_our_folder(tmp_path: Path) -> None:
    text = (
        "# One\n\n![ours](../pictures/a-b.svg) ![other](https://x.example/a.png) ![up](../../a.png)"
    )
    page, _ = rendered(tmp_path, text)
    shown = [attrs["src"] for tag, attrs in Elements(page.html).found if tag == "img"]
    assert shown == ["/help/pictures/a-b.svg"]
    assert "other" in page.html and "up" in page.html


def test_headings_have_the_names_that_github_gives_the_english_ones(tmp_path: Path) -> None:
    en = "# The page\n\n## v1 against `v2`, in *short*\n\n## Twice\n\n## Twice\n\n### a_b.c\n"
    zh = "# 页\n\n## v1 与 v2\n\n## 一\n\n## 二\n\n### 三\n\n[甲](#v1-与-v2) [乙](#twice-1)\n"
    english, chinese = rendered(tmp_path, en, zh)
    anchors = ["the-page", "v1-against-v2-in-short", "twice", "twice-1", "a_bc"]
    assert [section.anchor for section in english.sections] == anchors
    assert [section.anchor for section in chinese.sections] == anchors
    ids = [attrs["id"] for tag, attrs in Elements(chinese.html).found if tag in ("h1", "h2", "h3")]
    assert ids == anchors
    # A file may use GitHub's own name for its heading, or ours.
    assert links(chinese.html) == ["#v1-against-v2-in-short", "#twice-1"]


def test_a_page_with_other_headings_keeps_its_own_names(tmp_path: Path) -> None:
    _, chinese = rendered(tmp_path, "# One\n\n## Two\n", "# 页\n")
    assert [section.anchor for section in chinese.sections] == ["页"]


def test_lines_of_chinese_are_joined_without_a_space(tmp_path: Path) -> None:
    _, page = rendered(tmp_path, "# One", "# 页\n\n颜色\n成块，**照\n片**\nddcolor\n模型\n")
    assert "<p>颜色成块，<strong>照片</strong>\nddcolor\n模型</p>" in page.html
    assert page.sections[0].text == "颜色成块，照片 ddcolor 模型"


def test_wide_tables_and_code_can_be_scrolled_by_keyboard(tmp_path: Path) -> None:
    page, _ = rendered(tmp_path, "# One\n\n| a |\n| --- |\n| b |\n\n    code\n")
    focusable = [tag for tag, attrs in Elements(page.html).found if attrs.get("tabindex") == "0"]
    assert focusable == ["div", "pre"]
