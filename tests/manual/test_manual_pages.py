"""Both languages have the same pages, parts and links, and every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from heliochrome.manual import HELP_DOCS, LANGUAGES, Manual
from heliochrome.manual.anchors import slugs

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "help_docs"
PAGES = sorted(path.stem for path in (DOCS / "en").glob("*.md"))
WRITTEN = {"index", "quick-start", "which-size", "models", "portrait-or-building"}
WRITTEN |= {"troubleshooting", "privacy", "studio", "gateway", "api", "command-line", "serverless"}
both = pytest.mark.parametrize("language", LANGUAGES)
every = pytest.mark.parametrize("name", PAGES)


@pytest.fixture(scope="module")
def manual() -> Manual:
    return Manual.read()


def source(language: str, name: str) -> str:
    """The page without its code, in which # and ] mean other things."""
    text = (DOCS / language / f"{name}.md").read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```$|^ {4}[^\n]*$", "", text, flags=re.M | re.S)


def headings(language: str, name: str) -> list[tuple[str, str]]:
    return re.findall(r"^(#+) (.*)$", source(language, name), re.M)


def links(language: str, name: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", source(language, name))


def test_there_are_the_same_pages_in_both_languages() -> None:
    assert set(PAGES) >= WRITTEN
    assert sorted(path.stem for path in (DOCS / "zh").glob("*.md")) == PAGES


def test_the_package_reaches_the_folder_that_github_shows() -> None:
    link = ROOT / "custom_nodes" / "heliochrome" / "help_docs"
    assert link.is_symlink()
    assert link.readlink() == Path("../../help_docs")
    assert HELP_DOCS.resolve() == DOCS.resolve()


@every
def test_both_languages_have_the_same_headings(name: str) -> None:
    levels = [[len(marks) for marks, _ in headings(language, name)] for language in LANGUAGES]
    assert levels[0] == levels[1]
    assert levels[0][0] == 1
    assert 1 not in levels[0][1:]


@every
def test_both_languages_have_the_same_tables(name: str) -> None:
    """Row by row: as many cells, and the same names in code."""

    def rows(language: str) -> list[list[set[str]]]:
        lines = re.findall(r"^\|(.*)\|$", source(language, name), re.M)
        # Code that holds words is translated, such as `preview NAME`.
        return [[set(re.findall(r"`(\w+)`", cell)) for cell in line.split(" | ")] for line in lines]

    assert rows("en") == rows("zh")


@every
def test_both_languages_have_the_same_links(name: str, manual: Manual) -> None:
    def targets(language: str) -> set[str]:
        page = manual.page(language, name)  # type: ignore[arg-type]
        assert page
        found = re.findall(r'(?:href|src)="([^"]*)"', page.html)
        # A picture of the page is in the reader's language, too.
        same = (link.replace(f"/help/{language}", "/help") for link in found)
        return {re.sub(rf"(/pictures/.*)-{language}\.", r"\1.", link) for link in same}

    assert targets("en") == targets("zh")


@both
@every
def test_every_link_leads_to_a_page_and_heading_on_github_and_here(
    language: str, name: str, manual: Manual
) -> None:
    page = manual.page(language, name)  # type: ignore[arg-type]
    assert page
    written = links(language, name)
    # What leads nowhere was taken out of the page.
    assert len(re.findall(r"(?:href|src)=", page.html)) == len(written)
    for link in written:
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        file = (DOCS / language / path).resolve() if path else DOCS / language / f"{name}.md"
        assert file.is_file(), link
        if anchor:
            titles = [re.sub(r"[`*]", "", title) for _, title in headings(language, file.stem)]
            assert anchor in slugs(titles), link


@both
def test_every_page_is_reached_from_the_front_page(language: str) -> None:
    linked = {link.partition(".md")[0] for link in links(language, "index")}
    assert set(PAGES) - linked == {"index"}


@both
def test_each_language_is_spelt_in_one_way(language: str) -> None:
    if language == "zh":
        text = "".join(source("zh", name) for name in PAGES)
        assert [word for word in ("你", "来历", "运行库", "简易") if word in text] == []
    else:
        text = "".join(
            re.sub(r"`[^`]*`|heliochrome \w+", "", source("en", name)) for name in WRITTEN
        )
        assert re.findall(r"\b\w*(?:coloriz|colorl|colors\b|favorite|behavior)\w*", text) == []


def test_every_picture_is_shown_somewhere(manual: Manual) -> None:
    shown = {
        link.rpartition("/")[2]
        for language in LANGUAGES
        for name in PAGES
        for link in links(language, name)
    }
    assert set(manual.pictures) == {path.name for path in (DOCS / "pictures").iterdir()}
    assert set(manual.pictures) <= shown


def test_the_extra_names_what_the_manual_needs() -> None:
    extra = re.search(r"^studio = .*$", (ROOT / "pyproject.toml").read_text("utf-8"), re.M)
    assert extra
    assert "markdown-it-py" in extra[0] and "aiohttp" in extra[0]
