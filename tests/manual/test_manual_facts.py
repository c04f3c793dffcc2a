"""A number in the manual that is not the code's fails here, in either language."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

import pytest

from heliochrome.core import presets, scene
from heliochrome.core.budget import LADDER
from heliochrome.core.catalog import load_catalog
from heliochrome.core.disk import human_bytes
from heliochrome.core.ensemble import ensemble_sizes
from heliochrome.core.extent import Extent
from heliochrome.core.photo import read
from heliochrome.core.presets import BUILDING, DEFAULT_MODEL, PORTRAIT, PRESETS, RANGES, Preset
from heliochrome.core.preview import PREVIEW_SUFFIX
from heliochrome.core.weights_file import SUFFIXES

DOCS = Path(__file__).parents[2] / "help_docs"
NUMBER = r"\d+(?:\.\d+)?"


@pytest.fixture(params=["en", "zh"])
def language(request: pytest.FixtureRequest) -> str:
    return request.param


def page(language: str, name: str) -> str:
    return (DOCS / language / f"{name}.md").read_text(encoding="utf-8")


def section(text: str, index: int) -> str:
    """What stands below the heading number `index`; 0 is the title."""
    return re.split(r"^#+ .*$", text, flags=re.M)[index + 1]


def tables(text: str) -> list[dict[str, list[str]]]:
    """Each table: its cells by the first name in code of the row's first cell."""
    found = []
    for block in re.findall(r"(?:^\|.*\|\n)+", text, re.M):
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.split("\n")]
        named = [(re.search(r"`([^`]+)`", row[0]), row[1:]) for row in rows]
        found.append({name[1]: cells for name, cells in named if name})
    return found


def plain(value: object) -> list[str]:
    """A value as a page shows it."""
    if isinstance(value, tuple):
        return [f"{part:g}" for part in value]
    return [f"{value:g}"] if isinstance(value, (int, float)) else [f"`{value}`"]


def numbers(text: str) -> list[str]:
    return re.findall(NUMBER, text)


def test_the_table_of_presets_is_the_code(language: str) -> None:
    shown = tables(page(language, "portrait-or-building"))[0]
    told = {field.name for field in fields(Preset)} - {"id", "model"}
    assert set(shown) == told
    for name, cells in shown.items():
        for preset, cell in zip((PORTRAIT, BUILDING), cells, strict=False):
            value = getattr(preset, name)
            assert (numbers(cell) if "`" not in cell else [cell]) == plain(value), name
    assert all(
        f"`{preset.model}`" in page(language, "portrait-or-building") for preset in PRESETS.values()
    )


def test_the_table_of_ranges_is_the_code(language: str) -> None:
    shown = tables(page(language, "portrait-or-building"))[1]
    ranged = {name for name in presets.TUNABLE if name in RANGES}
    assert set(shown) == {*ranged, "ensemble"} == {*presets.TUNABLE} - {"chroma_guide"}
    for name in ranged:
        assert numbers(shown[name][0]) == plain(RANGES[name]), name
    assert numbers(shown["ensemble"][0]) == plain(presets.ENSEMBLES)


def test_how_automatic_decides_is_the_code(language: str) -> None:
    steps = section(page(language, "portrait-or-building"), 2)
    first = re.search(r"^1\. (.*)$", steps, re.M)
    assert first
    assert numbers(first[1]) == [f"{scene._FACE * 100:g}", str(scene._GROUP)]


def test_the_sizes_are_the_code(language: str) -> None:
    text = page(language, "which-size")
    shown = tables(text)[0]
    for preset in PRESETS.values():
        assert numbers(" ".join(shown[preset.id])) == plain((preset.size, *preset.size_range))
    limits = section(text, 1).split("!")[0]
    assert numbers(limits) == plain((presets.MIN_SIZE, presets.MAX_SIZE, presets.SIZE_STEP))
    ladder = next(line for line in text.splitlines() if str(LADDER[1]) in line)
    assert numbers(ladder) == plain(LADDER)


def test_what_an_ensemble_costs_is_the_code(language: str) -> None:
    text = section(page(language, "which-size"), 3)
    for passes in presets.ENSEMBLES[1:]:
        sizes = ensemble_sizes(presets.MAX_SIZE, passes)
        times = sum(size**2 for size in sizes) / presets.MAX_SIZE**2
        assert re.search(rf"{passes}\D+(?:\b1\D+)?{round(times, 1):g}\b", text), (passes, times)


def test_the_drawing_shows_what_the_code_does(language: str) -> None:
    drawing = (DOCS / "pictures" / "size.svg").read_text(encoding="utf-8")
    whole, small = Extent(4000, 3000), Extent(4000, 3000).fit(PORTRAIT.size, presets.SIZE_STEP)
    pairs = re.findall(r"(\d+) × (\d+)", drawing)
    assert pairs == [(str(one.width), str(one.height)) for one in (whole, small, whole)]
    assert f"{small.width} × {small.height}" in page(language, "which-size")


def test_the_table_of_models_is_the_catalogue(language: str) -> None:
    shown = tables(page(language, "models"))[0]
    catalogue = load_catalog().models
    assert set(shown) == set(catalogue)
    unknown = {"en": "not published", "zh": "未公布"}[language]
    for name, spec in catalogue.items():
        size, licence, _ = shown[name]
        assert size == (human_bytes(spec.size) if spec.size else unknown)
        assert licence == spec.licence


def test_commands_name_the_default_model_and_all_endings(language: str) -> None:
    text = page(language, "models")
    assert f"heliochrome models get {DEFAULT_MODEL}\n" in text
    assert f"heliochrome models import {DEFAULT_MODEL} " in text
    assert [suffix for suffix in SUFFIXES if f"`{suffix}`" not in text] == []


def test_troubleshooting_names_the_values_of_the_presets(language: str) -> None:
    text = page(language, "troubleshooting")
    limit = next(line for line in text.splitlines() if "`chroma_limit`" in line)
    assert numbers(limit)[1:] == plain((PORTRAIT.chroma_limit, BUILDING.chroma_limit))
    passes = next(line for line in text.splitlines() if "`ensemble`" in line)
    assert numbers(passes)[1:] == plain(presets.ENSEMBLES[1:])
    guard = re.search(rf"`skin_guard`\D*({NUMBER})\D*({NUMBER})", text)
    assert guard
    assert [*guard.groups()] == plain((PORTRAIT.skin_guard, RANGES["skin_guard"][1]))
    assert f"`{PREVIEW_SUFFIX}`" in text
    most = {"en": (r"(\d+) million", 1e6), "zh": (rf"({NUMBER}) 亿像素", 1e8)}[language]
    found = re.search(most[0], text)
    assert found and float(found[1]) * most[1] == read.MAX_PIXELS


@pytest.mark.parametrize("name", ["quick-start", "troubleshooting", "index"])
def test_the_formats_named_are_those_that_are_read(language: str, name: str) -> None:
    text = page(language, name)
    listed = re.findall(r"(?:[A-Z]\w+(?:, |、)){3,}[A-Z]\w+(?: and [A-Z]\w+|、[A-Z]\w+)?", text)
    found = [set(re.findall(r"[A-Za-z]+", one)) - {"and"} for one in listed]
    expected = {kind.upper() for kind in read._WRITTEN_AS}
    assert [{one.upper() for one in names} for names in found] == [expected] * len(found)
    assert len(found) == (0 if name == "index" else 1)


def test_how_long_photographs_are_kept_is_the_studios_default(language: str) -> None:
    studio = pytest.importorskip("heliochrome.studio.settings")
    row = next(
        line for line in page(language, "privacy").splitlines() if "HELIOCHROME_STUDIO_KEEP" in line
    )
    assert numbers(row) == plain(studio.StudioSettings.keep_days)
    assert f"`{studio.variable('keep_days')}`" in row


def named_settings(texts: Iterable[str]) -> set[str]:
    return {name for text in texts for name in re.findall(r"HELIOCHROME_[A-Z_]+", text)}


def test_no_setting_is_named_that_nothing_reads(language: str) -> None:
    package, gateway = (DOCS.parent / folder for folder in ("custom_nodes/heliochrome", "auth"))
    sources = [
        path.read_text(encoding="utf-8")
        for folder in (package, gateway)
        for path in folder.rglob("*.py")
    ]
    fields_of = re.findall(r"^    (\w+): .* = ", "\n".join(sources), re.M)
    prefixed = {
        f"HELIOCHROME_{part}_{name.upper()}" for part in ("GATEWAY", "STUDIO") for name in fields_of
    }
    read_somewhere = named_settings(sources) | prefixed
    ours = ("index", "quick-start", "portrait-or-building", "which-size", "models")
    pages = [page(language, name) for name in (*ours, "troubleshooting", "privacy", "command-line")]
    assert len(named_settings(pages)) > 5
    assert named_settings(pages) <= read_somewhere
