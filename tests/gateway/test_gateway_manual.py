"""What the gateway has and its manual does not, or the other way round, fails here."""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from heliochrome_gateway import metrics
from heliochrome_gateway.audit_events import KINDS
from heliochrome_gateway.cli import build_parser
from heliochrome_gateway.first_boot import PASSWORD
from heliochrome_gateway.graphs import NODES
from heliochrome_gateway.identity import ROLES
from heliochrome_gateway.routes import RULES
from heliochrome_gateway.settings import _RANGES, _SECRETS, GatewaySettings, variable
from pages import (
    LANGUAGES,
    check_setting,
    leaves,
    options,
    quoted,
    routes,
    source,
    table,
    variables,
)

ROOT = Path(__file__).parents[2]
GATEWAY, PACK = ROOT / "auth", ROOT / "custom_nodes" / "heliochrome"
NAMES = {variable(field.name) for field in fields(GatewaySettings)}
SECRETS = {PASSWORD, *(variable(name) for name in _SECRETS)}
VARIABLES = {*NAMES, PASSWORD, *(f"{name}_FILE" for name in SECRETS)}
# What is worked out on the machine, so that the page says it in words.
IN_WORDS = {"folder", "password_workers", "users_file", "audit_folder"}


@pytest.fixture(params=LANGUAGES)
def page(request: pytest.FixtureRequest) -> str:
    return source(request.param, "gateway")


def commands() -> dict[str, argparse.ArgumentParser]:
    return leaves(build_parser(), "heliochrome-gateway")


def test_every_variable_has_its_row_with_default_and_range(page: str) -> None:
    shown = table(page, PASSWORD)
    assert set(shown) == {*NAMES, PASSWORD}
    for field in fields(GatewaySettings):
        if field.name in IN_WORDS:
            assert shown[variable(field.name)][2]
        else:
            check_setting(shown[variable(field.name)], field, _RANGES.get(field.name, ()))


def test_no_variable_is_named_that_does_not_exist(page: str) -> None:
    named = variables(page)
    # The studio's are held to its settings by the test of its own pages.
    assert {name for name in named if not name.startswith("HELIOCHROME_STUDIO_")} <= VARIABLES
    assert named >= {f"{name}_FILE" for name in SECRETS}


@pytest.mark.parametrize("command", commands())
def test_every_command_has_its_row_with_all_it_takes(command: str, page: str) -> None:
    shown = table(page, "heliochrome-gateway serve")
    parser = commands()[command]
    takes = [str(action.metavar) for action in parser._actions if not action.option_strings]
    given, _ = shown[" ".join([command, *takes])]
    assert {name for name in quoted(given) if name.startswith("-")} == options(parser)
    assert len(shown) == len(commands())


def test_no_option_is_named_that_does_not_exist(page: str) -> None:
    known = set().union(*map(options, commands().values()))
    # ComfyUI's own, and curl's.
    ours = [line for line in page.splitlines() if not re.match(r" {4}(python|curl) ", line)]
    named = set(re.findall(r"(?<![\w-])(--?[a-z]+)\b", "\n".join(ours)))
    assert "--holds" in named
    assert named <= known


def test_every_role_has_its_row(page: str) -> None:
    assert set(table(page, "viewer")) == set(ROLES)


def test_every_kind_of_event_has_its_row_with_facts_that_it_can_state(page: str) -> None:
    shown = table(page, "repair")
    assert set(shown) == set(KINDS)
    for kind, (_, facts) in shown.items():
        assert quoted(facts) <= KINDS[kind].facts


def test_what_is_open_is_what_the_rules_open(page: str) -> None:
    assert routes(page, ROLES) == {
        (method, rule.pattern, role)
        for rule in RULES
        for method in rule.methods
        for role in rule.roles
    }


def test_the_nodes_named_are_those_allowed(page: str) -> None:
    listed = next(block for block in page.split("\n\n") if "`LoadImageMask`" in block)
    assert {name for name in quoted(listed) if name[0].isupper()} == NODES


def refusals() -> set[tuple[str, str]]:
    """(rule, status) of every Denied in the source."""
    return {
        (str(rule.value), str(status.value) if isinstance(status, ast.Constant) else "502")
        for path in GATEWAY.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Denied"
        for status, rule in [node.args[:2]]
        if isinstance(rule, ast.Constant)
    }


def test_every_refusal_is_explained_with_its_status(page: str) -> None:
    shown = {(rule, status) for rule, (status, _) in table(page, "takeover").items()}
    assert shown == refusals()
    assert len(shown) > 15


def test_every_metric_is_named(page: str) -> None:
    source = Path(metrics.__file__).read_text(encoding="utf-8")
    made = set(re.findall(r'"(heliochrome_gateway_\w+)"', source))
    assert made and made == {name for name in quoted(page) if name.startswith("heliochrome_g")}


def imported(source: str) -> Iterator[str]:
    """Every module that this source imports from outside of its package, by statement or name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).rpartition(".")[2] in ("import_module", "__import__")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value)


@pytest.mark.parametrize(
    "source",
    [
        "import heliochrome",
        "import os, heliochrome.core",
        "def f():\n    from heliochrome.core import a",
        "importlib.import_module('heliochrome.core')",
        "__import__('heliochrome')",
    ],
)
def test_an_import_is_seen_wherever_it_hides(source: str) -> None:
    assert "heliochrome" in {name.split(".")[0] for name in imported(source)}


@pytest.mark.parametrize(
    ("folder", "other"), [(GATEWAY, "heliochrome"), (PACK, "heliochrome_gateway")]
)
def test_gateway_and_pack_know_nothing_of_each_other(folder: Path, other: str) -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in folder.rglob("*.py")}
    assert len(sources) > 30
    assert [
        path
        for path, source in sources.items()
        if other in {name.split(".")[0] for name in imported(source)}
    ] == []
