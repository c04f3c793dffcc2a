"""Searching the real pages, in both languages."""

from __future__ import annotations

import pytest

from heliochrome.manual import Hit, Language, Manual
from heliochrome.manual.search import MAX_HITS, MAX_QUERY, marked, words_of


@pytest.fixture(scope="module")
def manual() -> Manual:
    return Manual.read()


def places(hits: list[Hit]) -> list[str]:
    return [f"{hit.page}#{hit.anchor}" for hit in hits]


@pytest.mark.parametrize(
    ("language", "query", "first"),
    [
        ("en", "colour patches", "troubleshooting#colour-patches"),
        ("en", "  COLOUR   Patches ", "troubleshooting#colour-patches"),
        ("en", "forgotten password", "troubleshooting#a-forgotten-password"),
        ("en", "usb stick", "models#without-a-network"),
        ("en", "HELIOCHROME_STUDIO_KEEP_DAYS", "troubleshooting#the-disk-is-full"),
        ("zh", "色块", "troubleshooting#colour-patches"),
        ("zh", "忘记密码", "troubleshooting#a-forgotten-password"),
        ("zh", "Ｕ盘", "models#without-a-network"),  # full-width, and no space as in the page
        ("zh", "用 U盘", "models#without-a-network"),
        ("zh", "内存 不足", "troubleshooting#out-of-memory"),
        ("zh", "内存\u3000不足", "troubleshooting#out-of-memory"),  # the ideographic space
        ("zh", "缩小的副本", "which-size#what-size-means"),
    ],
)
def test_the_section_is_found(manual: Manual, language: Language, query: str, first: str) -> None:
    assert places(manual.search(language, query))[0] == first


def test_a_word_broken_by_the_end_of_a_line_is_found(manual: Manual) -> None:
    """Chinese lines end anywhere; this one ends between these two characters in the file."""
    page = manual.page("zh", "models")
    assert page
    assert all("\n" not in section.text for section in page.sections)
    assert "models#artistic-and-paper" in places(manual.search("zh", "出现色块时可以试它"))


@pytest.mark.parametrize("query", ["", "   ", "\u3000"])
def test_nothing_is_found_for_nothing(manual: Manual, query: str) -> None:
    assert manual.search("en", query) == []


def test_all_words_must_be_there(manual: Manual) -> None:
    assert manual.search("en", "patches") != []
    assert manual.search("en", "patches zebra") == []


def test_a_page_is_not_found_section_by_section_for_its_name_alone(manual: Manual) -> None:
    hits = manual.search("en", "serverless")
    named = [hit for hit in hits if hit.page == "serverless"]
    page = manual.page("en", "serverless")
    assert page
    assert 0 < len(named) < len(page.sections)
    # but its name narrows a search that a section answers
    assert places(manual.search("en", "serverless image"))[0] == "serverless#the-image"


def test_excerpts_are_short_and_hold_the_word(manual: Manual) -> None:
    hits = manual.search("en", "memory")
    assert 5 < len(hits) <= MAX_HITS
    for hit in hits:
        assert len(hit.excerpt) < 200
        assert "memory" in f"{hit.section} {hit.excerpt}".lower()


def test_a_query_is_bounded(manual: Manual) -> None:
    assert len("".join(words_of("x" * 10_000_000))) == MAX_QUERY
    assert manual.search("en", "patches " + " " * MAX_QUERY + "zebra") != []


def test_marks_fall_on_the_words_also_where_folding_changes_their_length() -> None:
    assert marked("Große ﬁlms", "STRASSE grosse films") == [
        ("Große", True),
        (" ", False),
        ("ﬁlms", True),
    ]
    assert "".join(piece for piece, _ in marked("a<b>c", "<b>")) == "a<b>c"
