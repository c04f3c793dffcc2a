"""An undocumented command, option or setting fails here, in either language."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from heliochrome.cli import build_parser

ROOT = Path(__file__).parents[2]
LANGUAGES = ("en", "zh")


def page(language: str) -> str:
    return (ROOT / f"help_docs/{language}/command-line.md").read_text(encoding="utf-8")


def commands() -> dict[str, argparse.ArgumentParser]:
    """Every command, and every verb of one, by the words that call it."""
    found: dict[str, argparse.ArgumentParser] = {}

    def walk(parser: argparse.ArgumentParser, words: str) -> None:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for name, below in action.choices.items():
                    found[f"{words} {name}"] = below
                    walk(below, f"{words} {name}")

    walk(build_parser(), "heliochrome")
    return found


def section(language: str, command: str) -> str:
    """The part of the page under the command's own heading."""
    head = " ".join(command.split()[:2])
    match = re.search(rf"^## {re.escape(head)}$(.*?)(?=^## |\Z)", page(language), re.M | re.S)
    assert match, f"{head} has no section in the {language} page"
    return match[1]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("command", commands())
def test_commands_and_options_are_documented(command: str, language: str) -> None:
    text = section(language, command)
    verb = command.split()[2:]
    assert not verb or command in text
    for action in commands()[command]._actions:
        for option in action.option_strings:
            if option not in ("-h", "--help"):
                assert f"`{option}`" in text or f"[{option}]" in text, option


@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_name_no_option_that_does_not_exist(language: str) -> None:
    known = {o for parser in commands().values() for a in parser._actions for o in a.option_strings}
    assert set(re.findall(r"`(--[a-z-]+)`", page(language))) <= known


@pytest.mark.parametrize("language", LANGUAGES)
def test_settings_are_documented(language: str) -> None:
    package = ROOT / "custom_nodes/heliochrome"
    read = {
        name
        for path in package.rglob("*.py")
        # In nodes such names are socket types; the others have pages and tests of their own.
        if path.relative_to(package).parts[0] not in ("nodes", "handlers", "studio")
        for name in re.findall(r'"(HELIOCHROME_[A-Z_]+|COMFYUI_DIR)"', path.read_text("utf-8"))
        # Set for the gateway by `heliochrome up`, not read.
        if not name.startswith("HELIOCHROME_GATEWAY_")
    }
    named = set(re.findall(r"^\| `(HELIOCHROME_[A-Z_]+|COMFYUI_DIR)`", page(language), re.M))
    assert read == named
