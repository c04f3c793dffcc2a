"""The texts of the product, one file for each language, held to the lengths in limits.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args

import yaml  # type: ignore[import-untyped]

Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
FOLDER: Final = Path(__file__).with_name("listing")
PLACEHOLDER: Final = re.compile(r"SELLER_[A-Z_]+")
_LISTS: Final = ("highlights", "included", "not_included", "not_verified")
_SUPPORT: Final = ("contact", "hours", "text")
_HEADS: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {
        "highlights": "Highlights",
        "included": "What is included",
        "not_included": "What is not included",
        "not_verified": "What has not been verified",
        "support": "Support",
        "refund": "Refund",
        "usage": "Use of results",
    },
    "zh": {
        "highlights": "特点",
        "included": "包含什么",
        "not_included": "不包含什么",
        "not_verified": "尚未验证的内容",
        "support": "支持",
        "refund": "退款",
        "usage": "结果的使用",
    },
}


class BadTexts(Exception):
    """What is missing, too long or different, and in which file."""


def read(folder: Path = FOLDER) -> dict[Language, dict[str, Any]]:
    """Both languages. Raises BadTexts."""
    limits = _yaml(folder / "limits.yaml")
    found = {language: _yaml(folder / f"{language}.yaml") for language in LANGUAGES}
    problems = [
        f"{language}.yaml: {problem}"
        for language, texts in found.items()
        for problem in _problems(texts, limits)
    ]
    if not problems:  # else a list may be none
        lengths = {key: {len(texts[key]) for texts in found.values()} for key in _LISTS}
        problems += [
            f"{key}: expected as many in both languages, came {sorted(counts)}. Add what lacks."
            for key, counts in lengths.items()
            if len(counts) > 1
        ]
    if problems:
        raise BadTexts("\n".join(problems))
    return found


def markdown(language: Language, texts: Mapping[str, Any]) -> str:
    """As the form of the marketplace wants it, part by part."""
    heads = _HEADS[language]
    lines = [f"# {texts['name']}", "", texts["intro"], "", texts["description"].strip(), ""]
    for key in _LISTS:
        lines += [f"## {heads[key]}", "", *(f"- {item}" for item in texts[key]), ""]
    support = texts["support"]
    lines += [f"## {heads['support']}", "", f"{support['contact']} ({support['hours']})", ""]
    lines += [support["text"].strip(), "", f"## {heads['refund']}", "", texts["refund"].strip(), ""]
    lines += [f"## {heads['usage']}", "", texts["usage"].strip(), ""]
    return "\n".join(lines)


def _yaml(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise BadTexts(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(found, dict):
        raise BadTexts(f"{path}: expected names with values, came {type(found).__name__}.")
    return found


def _problems(texts: Mapping[str, Any], limits: Mapping[str, int]) -> Iterator[str]:
    for key in ("name", "intro", "description", "refund", "usage"):
        yield from _long(key, texts.get(key), limits.get(key))
    for key in _LISTS:
        items = texts.get(key)
        if not isinstance(items, list) or not items:
            yield f"{key}: expected a list, came {items!r}."
            continue
        limit = limits["highlight" if key == "highlights" else "item"]
        for item in items:
            yield from _long(key, item, limit)
    support = texts.get("support")
    for key in _SUPPORT:
        yield from _long(f"support.{key}", support.get(key) if isinstance(support, dict) else None)


def _long(key: str, text: object, limit: int | None = None) -> Iterator[str]:
    if not isinstance(text, str) or not text.strip():
        yield f"{key}: expected a text, came {text!r}."
    elif limit is not None and len(text.strip()) > limit:
        came = f"{len(text.strip())}: {text[:40]!r}"
        yield f"{key}: expected at most {limit} characters, came {came}. Shorten it."
