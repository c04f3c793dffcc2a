"""Every node, input and output is documented in both languages; read from the source, no host."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from heliochrome.core.notices import HELP, Notice
from heliochrome.core.presets import BUILDING, DEFAULT_MODEL, MAX_SIZE, MIN_SIZE, PORTRAIT
from heliochrome.core.weights_file import SUFFIXES
from heliochrome.manual import LANGUAGES, Language, Manual, address_of

PACK = Path(__file__).parents[2] / "custom_nodes" / "heliochrome"


@dataclass(frozen=True)
class Declared:
    """A node as its source declares it. inputs and outputs: the names a user sees."""

    id: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    texts: tuple[str | None, ...]


def keyword(call: ast.Call, name: str) -> str | None:
    values = [item.value for item in call.keywords if item.arg == name]
    if not values:
        return None
    constant = isinstance(values[0], ast.Constant)
    return ast.literal_eval(values[0]) if constant else ast.unparse(values[0])


def shared_widgets() -> dict[str, ast.FunctionDef]:
    """The functions of all widgets.py, which nodes call in the place of a declaration."""
    trees = [ast.parse(path.read_text("utf-8")) for path in (PACK / "nodes").rglob("widgets.py")]
    return {
        node.name: node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)
    }


def calls_in(node: ast.AST) -> list[ast.Call]:
    """The calls in the order of the source, those of shared widgets in the caller's place."""
    calls = [call for call in ast.walk(node) if isinstance(call, ast.Call)]
    calls.sort(key=lambda call: (call.lineno, call.col_offset))
    shared = shared_widgets()
    found: list[ast.Call] = []
    for call in calls:
        widget = shared.get(ast.unparse(call.func))
        found += [call] if widget is None else calls_in(widget)
    return found


def declared(node: ast.ClassDef) -> Declared:
    calls = calls_in(node)
    of = {
        kind: [
            call
            for call in calls
            if isinstance(call.func, ast.Attribute) and call.func.attr == kind
        ]
        for kind in ("Input", "Output")
    }
    (schema,) = (
        call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "schema"
    )
    tooltips = [keyword(call, "tooltip") for call in of["Input"] + of["Output"]]
    return Declared(
        id=keyword(schema, "node_id") or "",
        inputs=tuple(ast.literal_eval(call.args[0]) for call in of["Input"]),
        outputs=tuple(keyword(call, "display_name") or "" for call in of["Output"]),
        texts=(keyword(schema, "display_name"), keyword(schema, "description"), *tooltips),
    )


def all_declared() -> list[Declared]:
    classes = [
        node
        for path in sorted((PACK / "nodes").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
        and any(ast.unparse(b) == "io.ComfyNode" for b in node.bases)
    ]
    return [declared(node) for node in classes]


NODES = all_declared()
each = pytest.mark.parametrize("node", NODES, ids=lambda node: node.id)


# (low, high) in the order of the pages: people, then buildings
SIZES = (PORTRAIT.size_range, BUILDING.size_range)


def sizes_told(text: str) -> list[tuple[int, int]]:
    return [(int(low), int(high)) for low, high in re.findall(r"(\d{3,})\s*[–-]\s*(\d{3,})", text)]


def test_all_nodes_are_found_under_their_permanent_ids() -> None:
    assert {node.id for node in NODES} == {
        "DDColor-ddcolorize",
        "HeliochromeLoadDDColor",
        "HeliochromeColorize",
        "HeliochromeBeforeAfter",
        "HeliochromeWarmTonePreview",
        "HeliochromeSavePhoto",
        "HeliochromeLoadDiffusion",
        "HeliochromeTextToImage",
        "HeliochromeImageToImage",
        "HeliochromeInpaint",
    }


@each
def test_english_texts_are_in_the_schema(node: Declared) -> None:
    assert len(node.texts) == 2 + len(node.inputs) + len(node.outputs)
    assert all(node.texts)


@each
def test_chinese_texts_are_in_the_locale(node: Declared) -> None:
    locale = json.loads((PACK / "locales" / "zh" / "nodeDefs.json").read_text("utf-8"))
    assert set(locale) == {other.id for other in NODES}
    texts = locale[node.id]
    assert texts["display_name"]
    assert texts["description"]
    assert list(texts["inputs"]) == list(node.inputs)
    assert list(texts.get("outputs", {})) == [str(index) for index in range(len(node.outputs))]
    for item in (*texts["inputs"].values(), *texts.get("outputs", {}).values()):
        assert item["name"]
        assert item["tooltip"]


@each
@pytest.mark.parametrize("language", ["en", "zh"])
def test_help_page_names_every_input_and_output(node: Declared, language: str) -> None:
    path = PACK / "web" / "docs" / node.id / f"{language}.md"
    assert not path.is_symlink(), "the host serves real files only"
    page = path.read_text("utf-8")
    missing = [name for name in (*node.inputs, *node.outputs) if f"| `{name}`" not in page]
    assert missing == []


@each
@pytest.mark.parametrize("language", ["en", "zh"])
def test_help_of_nodes_with_a_model_says_how_to_get_one(node: Declared, language: str) -> None:
    page = (PACK / "web" / "docs" / node.id / f"{language}.md").read_text("utf-8")
    commands = re.findall(r"python -m heliochrome (\w+ \w+ ?\w*)", page)
    files = [f"`{DEFAULT_MODEL}{suffix}`" for suffix in SUFFIXES]
    if node.id == "HeliochromeLoadDiffusion":
        address = {"en": "ADDRESS", "zh": "地址"}[language]
        assert commands == [f"sd get {address}", "sd convert"]
        assert "`ComfyUI/models/openvino_diffusion`" in page
        return
    if "model" not in node.inputs:
        assert commands == []
        return
    assert commands == [f"models {verb} {DEFAULT_MODEL}" for verb in ("get", "import")]
    assert [file for file in files if file not in page] == []


@each
@pytest.mark.parametrize("language", ["en", "zh"])
def test_help_of_nodes_with_prompts_says_where_they_are_kept(node: Declared, language: str) -> None:
    page = (PACK / "web" / "docs" / node.id / f"{language}.md").read_text("utf-8")
    assert ("--disable-metadata" in page) == ("prompt" in node.inputs)
    assert ("record_prompt" in node.inputs) == ("prompt" in node.inputs)


@pytest.mark.parametrize("word", ["你", "来历", "运行库", "简易", "测量"])
def test_chinese_texts_call_one_thing_by_one_name(word: str) -> None:
    texts = [*(PACK / "locales" / "zh").glob("*.json"), *(PACK / "web").rglob("zh.md")]
    assert len(texts) > len(NODES)
    assert [str(path) for path in texts if word in path.read_text("utf-8")] == []


# Codes of sentences that come out of a file or its record; these are in English, whatever they say.
HANDED_ON = {"file", "recorded"}


def notice_codes() -> dict[str, str]:
    """Where the pack makes a Notice, and its code; a code that is no literal has no translation."""
    found = {
        f"{path.relative_to(PACK)}:{call.lineno}": code
        for path in sorted(PACK.rglob("*.py"))
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func).split(".")[-1] == "Notice"
        # The studio makes values again of notices that a node or the core has given.
        if (code := literal_code(call)) or path.relative_to(PACK).parts[0] != "studio"
    }
    assert None not in found.values(), found
    return {place: code for place, code in found.items() if code and code not in HANDED_ON}


def literal_code(call: ast.Call) -> str | None:
    given = [*call.args[:1], *(item.value for item in call.keywords if item.arg == "code")]
    return str(given[0].value) if given and isinstance(given[0], ast.Constant) else None


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_notice_is_translated(language: str) -> None:
    locale = json.loads((PACK / "locales" / language / "main.json").read_text("utf-8"))
    texts = locale["heliochrome"]["notices"]
    codes = notice_codes()
    assert {place: code for place, code in codes.items() if not texts.get(code)} == {}
    assert set(texts) == set(codes.values()), "a translation of a notice that nothing gives"


@pytest.fixture(scope="module")
def places() -> dict[str, dict[str, str]]:
    """Of each language: every page and heading of the manual by address, with its title."""
    manual = Manual.read()
    return {
        language: {
            address_of(language, target): section.title
            for page in manual.pages(language)
            for section in page.sections
            for target in (f"{page.id}#{section.anchor}", *([page.id] * (section.level == 1)))
        }
        for language in LANGUAGES
    }


def test_every_notice_leads_to_the_manual(places: dict[str, dict[str, str]]) -> None:
    assert set(HELP) == set(notice_codes().values())
    for language in LANGUAGES:
        missing = [
            code
            for code, target in HELP.items()
            if address_of(language, target) not in places[language]
        ]
        assert missing == []
    assert all("#" in target for target in HELP.values())
    assert {Notice(code, "").help for code in HELP} == set(HELP.values())
    # A notice of a later version is not lost.
    assert address_of("en", Notice("not-known-yet", "").help) in places["en"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_quick_start_explains_every_notice(language: Language) -> None:
    page = Manual.read().page(language, "quick-start")
    assert page
    linked = set(re.findall(r'href="([^"]*)"', page.html))
    assert {address_of(language, target) for target in HELP.values()} <= linked


@each
@pytest.mark.parametrize("language", LANGUAGES)
def test_help_page_links_to_the_manual(
    node: Declared, language: Language, places: dict[str, dict[str, str]]
) -> None:
    page = (PACK / "web" / "docs" / node.id / f"{language}.md").read_text("utf-8")
    links = re.findall(r"\[([^]]*)\]\((/help[^)]*)\)", page)
    assert links
    # The words of a link are the title of where it leads, so they change together.
    assert {address: places[language].get(address) for _, address in links} == {
        address: words for words, address in links
    }


def test_the_script_knows_where_the_manual_is() -> None:
    script = (PACK / "web" / "js" / "heliochrome.js").read_text("utf-8")
    assert f'MANUAL = "{address_of("en", "index").removesuffix("/en")}"' in script


@each
@pytest.mark.parametrize("language", ["en", "zh"])
def test_sizes_in_help_pages_are_those_of_the_presets(node: Declared, language: str) -> None:
    """The ranges for people and buildings, and the limits of the widget."""
    page = (PACK / "web" / "docs" / node.id / f"{language}.md").read_text("utf-8")
    told = sizes_told(page)
    assert told == (list(SIZES) if "size" in node.inputs else [])
    limits = re.findall(r"(\d{3,}) (?:to|到) (\d{3,})", page)
    assert limits == ([(str(MIN_SIZE), str(MAX_SIZE))] if "size" in node.inputs else [])


def test_sizes_in_chinese_tooltips_are_those_of_the_presets() -> None:
    locale = json.loads((PACK / "locales" / "zh" / "nodeDefs.json").read_text("utf-8"))
    tooltips = [
        node["inputs"]["size"]["tooltip"] for node in locale.values() if "size" in node["inputs"]
    ]
    assert len(tooltips) == sum("size" in node.inputs for node in NODES)
    assert [sizes_told(tooltip) for tooltip in tooltips] == [list(SIZES)] * len(tooltips)
