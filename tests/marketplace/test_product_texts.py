"""The product's texts fit the form and say what a buyer must know; both drawings are one."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from marketplace_code import MARKETPLACE, product_texts

from heliochrome.manual import LANGUAGES

both = pytest.mark.parametrize("language", LANGUAGES)


def test_the_texts_are_within_their_lengths_and_those_of_the_service() -> None:
    texts = product_texts.read()
    service = yaml.safe_load((MARKETPLACE / "compute-nest.yaml").read_text("utf-8"))["Service"]
    for info in service["ServiceInfo"]:
        found = texts[info["Locale"][:2]]
        assert (info["Name"], info["ShortDescription"]) == (found["name"], found["intro"])
    limits = yaml.safe_load((product_texts.FOLDER / "limits.yaml").read_text("utf-8"))
    assert (limits["name"], limits["intro"]) == (80, 140)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(product_texts.FOLDER, tmp_path / "listing"))


def changed(folder: Path, language: str, **values: Any) -> None:
    path = folder / f"{language}.yaml"
    texts = yaml.safe_load(path.read_text("utf-8")) | values
    path.write_text(yaml.safe_dump(texts, allow_unicode=True), encoding="utf-8")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"name": "x" * 81}, "name: expected at most 80 characters, came 81"),
        ({"intro": "照" * 141}, "intro: expected at most 140 characters, came 141"),
        ({"highlights": ["x" * 121] * 7}, "highlights: expected at most 120"),
        ({"description": None}, "description: expected a text, came None"),
        ({"included": []}, "included: expected a list"),
        ({"not_verified": ["one"]}, "not_verified: expected as many in both languages"),
        ({"support": "mail"}, "support.contact: expected a text"),
    ],
)
def test_texts_that_do_not_fit_are_named(copied: Path, values: dict[str, Any], said: str) -> None:
    changed(copied, "zh", **values)
    with pytest.raises(product_texts.BadTexts, match=re.escape(said)):
        product_texts.read(copied)


def test_broken_files_are_named(copied: Path) -> None:
    for content in ("a: [", "- a"):
        (copied / "en.yaml").write_text(content)
        with pytest.raises(product_texts.BadTexts, match=r"en\.yaml"):
            product_texts.read(copied)


@both
def test_what_a_buyer_must_know_is_said(language: str) -> None:
    page = product_texts.markdown(language, product_texts.read()[language])
    words = {
        "en": ["guesses", "previews", "not colourisation", "No run on a graphics card", "stand-in"],
        "zh": ["推测", "预览", "不是上色", "没有在显卡上运行过", "替代权重"],
    }[language]
    # Not of the instance's system; and where the source is, beside what is bought.
    words += {"en": ["components of the container image"], "zh": ["容器镜像全部组件"]}[language]
    words.append("SELLER_SOURCE_URL")
    assert [word for word in words if word not in page] == []
    # A figure that was not measured: seconds, speed-ups, prices.
    assert re.findall(r"\d+ ?(?:times|x faster|seconds|倍|秒|元)|[¥$€]", page) == []


def drawing(language: str) -> str:
    return (MARKETPLACE / f"architecture.{language}.svg").read_text("utf-8")


def shapes(language: str) -> list[str]:
    return re.findall(r"<(?:rect|path|text)[^>]*>", drawing(language))


def test_both_drawings_are_one_drawing() -> None:
    assert shapes("en") == shapes("zh")
    english, chinese = (re.findall(r">([^<>]+)</text>", drawing(one)) for one in LANGUAGES)
    kept = [text for text, other in zip(english, chinese, strict=True) if text == other]
    assert kept == ["ComfyUI"]
    for name in ("architecture.en", "architecture.zh", "logo"):
        svg = (MARKETPLACE / f"{name}.svg").read_text("utf-8")
        assert re.findall(r"(?:href|src)=|@import|url\((?!#)|<script", svg) == []
