"""The manual's pages as the tests read them that hold them to the code: tables, names, commands."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from dataclasses import Field
from pathlib import Path

HELP_DOCS = Path(__file__).parents[1] / "help_docs"
LANGUAGES = ("en", "zh")


def source(language: str, name: str) -> str:
    return (HELP_DOCS / language / f"{name}.md").read_text(encoding="utf-8")


def rows(page: str) -> list[list[str]]:
    """The cells of every line of a table."""
    lines = re.findall(r"^\|(.*)\|$", page, re.M)
    return [[cell.strip() for cell in line.split("|")] for line in lines]


def quoted(text: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text))


def table(page: str, name: str) -> dict[str, list[str]]:
    """The table that has a row for `name`: its other cells by what each row is about."""
    for block in page.split("\n\n"):
        found = {key: row[1:] for row in rows(block) for key in quoted(row[0])}
        if name in found:
            return found
    raise AssertionError(f"There is no table with a row for {name}.")


def routes(page: str, roles: Iterable[str]) -> set[tuple[str, str, str]]:
    """(method, address, role) of every row that begins with methods. roles: all there are."""
    return {
        (method, address, role)
        for row in rows(page)
        if re.match(r"(GET|POST|DELETE)\b", row[0])
        for method in row[0].split()
        for address in quoted(row[1])
        for role in (roles if row[2] == "all" else row[2].split())
    }


def plain(number: float) -> str:
    return f"{number:g}" if isinstance(number, float) and number < 1e6 else str(int(number))


def check_setting(row: list[str], field: Field[object], limits: Iterable[float]) -> None:
    """row: default, range, meaning. A default that there is none of is left to words."""
    default_cell, range_cell, meaning = row
    assert re.findall(r"[\d.]+", range_cell) == [plain(limit) for limit in limits]
    assert meaning
    default = field.default
    if isinstance(default, (str, int, float)) and default != "":
        text = default if isinstance(default, str) else plain(default)
        assert default_cell == f"`{text}`"


def variables(page: str) -> set[str]:
    """Every variable of ours that is named; a name that ends in _ stands for many."""
    return {name for name in re.findall(r"HELIOCHROME_[A-Z_]+", page) if not name.endswith("_")}


def leaves(parser: argparse.ArgumentParser, words: str) -> dict[str, argparse.ArgumentParser]:
    """Every command that can be run, by the words that call it."""
    below = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not below:
        return {words: parser}
    found: dict[str, argparse.ArgumentParser] = {}
    for action in below:
        for name, child in action.choices.items():
            found |= leaves(child, f"{words} {name}")
    return found


def options(parser: argparse.ArgumentParser) -> set[str]:
    return {o for a in parser._actions for o in a.option_strings} - {"-h", "--help"}
