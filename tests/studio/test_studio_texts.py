"""The page's sentences: the same in each language, none missing, none left over."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

import heliochrome
from heliochrome.core import errors
from heliochrome.core.notices import HELP
from heliochrome.core.presets import AUTO_PRESET, PRESETS
from heliochrome.studio import page
from heliochrome.studio.records import STATES
from heliochrome.studio.refusals import STATUS, WORK

WEB = Path(heliochrome.__file__).parent / "studio" / "web"
OWN = {language: json.loads((WEB / f"{language}.json").read_text()) for language in page.LANGUAGES}
# What the page itself finds out.
LOCAL_CODES = {"connection_lost", "session_over", "unknown"}
TRAY_STATES = {"waiting", "sending", "sent", "refused"}


def codes() -> set[str]:
    """All that a photograph or a request can end with."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    known = {kind.code for kind in kinds if issubclass(kind, errors.HeliochromeError)}
    return known | set(STATUS) | WORK | LOCAL_CODES


# Keys that scripts put together: what begins so, and what may follow.
FAMILIES = {
    "error.": codes(),
    "state.": set(STATES),
    "tray.": TRAY_STATES,
    "preset.": {AUTO_PRESET, *PRESETS},
    "compare.alt.": {"before", "after", "preview"},
    "job.": {"cancel", "retry", "delete"},
}


def used() -> set[str]:
    found = {f"{family}{name}" for family, names in FAMILIES.items() for name in names}
    for path in sorted(WEB.iterdir()):
        text = path.read_text()
        if path.suffix == ".html":
            found |= set(re.findall(r'data-(?:text|label)="([^"]+)"', text))
        elif path.suffix == ".js":
            calls = re.findall(r"\bt\(((?:[^()]|\([^()]*\))*)\)", text)
            named = [re.sub(r"\{[^{}]*\}", "", call) for call in calls]  # without the values
            found |= {key for call in named for key in re.findall(r'"([a-z_.]+)"', call)}
            found |= set(re.findall(r'(?:texts\[|each\(\w+, )"([a-z_.]+)"', text))
    return found


def forms(text: Any) -> list[str]:
    return list(text.values()) if isinstance(text, dict) else [text]


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_every_key_that_the_page_uses_exists_and_no_other():
    keys = used()
    assert keys - set(OWN["en"]) == set()
    assert set(OWN["en"]) - keys == set()


def test_scripts_put_together_only_keys_of_known_families():
    text = "".join(path.read_text() for path in WEB.glob("*.js"))
    assert set(re.findall(r"`([a-z_.]+\.)\$\{", text)) <= set(FAMILIES)


def test_both_languages_have_the_same_sentences():
    assert set(OWN["en"]) == set(OWN["zh"])
    for key, english in OWN["en"].items():
        given = {name for form in forms(english) for name in placeholders(form)}
        for form in forms(OWN["zh"][key]):
            assert placeholders(form) <= given, key
        assert all(form.strip() for form in forms(english) + forms(OWN["zh"][key])), key
        for language in page.LANGUAGES:
            if isinstance(OWN[language][key], dict):
                assert "other" in OWN[language][key], key


@pytest.mark.parametrize("language", page.LANGUAGES)
def test_every_error_has_a_sentence(language: str):
    for code in codes():
        assert OWN[language][f"error.{code}"]


def test_every_notice_is_translated():
    assert set(page.texts("zh")["notices"]) >= set(HELP)


def markup() -> Iterator[tuple[str, str]]:
    for path in sorted(WEB.iterdir()):
        if path.suffix in (".html", ".js", ".css"):
            yield path.name, path.read_text()


def test_nothing_is_inline_and_nothing_comes_from_elsewhere():
    for name, text in markup():
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", text), name
        assert not re.search(r"https?://", text), name
        if name.endswith(".html"):
            assert not re.search(r"<style|<script(?![^>]* src=)|\son\w+=|\sstyle=", text), name


def test_every_script_is_fetched_at_once():
    """Else they would come one after the other, each naming the next."""
    front = (WEB / "index.html").read_text()
    for path in WEB.glob("*.js"):
        assert f"/static/{path.name}" in front, path.name
