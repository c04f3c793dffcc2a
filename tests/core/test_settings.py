from __future__ import annotations

from typing import Any

import pytest

from heliochrome.core.errors import BadSetting
from heliochrome.core.presets import (
    BUILDING,
    MAX_SIZE,
    MIN_SIZE,
    PORTRAIT,
    PRESETS,
    RANGES,
    SIZE_STEP,
)
from heliochrome.core.settings import Settings


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_a_preset_is_valid_and_its_size_suits_it(preset: Any) -> None:
    settings = Settings.from_preset(preset)
    assert preset.size_range[0] <= settings.size <= preset.size_range[1]
    assert MIN_SIZE <= preset.size_range[0] < preset.size_range[1] <= MAX_SIZE
    assert all(side % SIZE_STEP == 0 for side in (preset.size, *preset.size_range))


def test_none_means_the_presets_value() -> None:
    settings = Settings.from_preset(BUILDING, size=None, strength=0.5)
    assert (settings.size, settings.strength) == (BUILDING.size, 0.5)


@pytest.mark.parametrize(("field", "ends"), RANGES.items(), ids=RANGES)
def test_both_ends_of_a_range_are_in_it(field: str, ends: tuple[float, float]) -> None:
    for end, beyond in zip(ends, (ends[0] - 1, ends[1] + 1), strict=True):
        assert getattr(Settings.from_preset(PORTRAIT, **{field: end}), field) == end
        with pytest.raises(BadSetting, match=f"from {ends[0]:g} to {ends[1]:g}, got {beyond}"):
            Settings.from_preset(PORTRAIT, **{field: beyond})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", 255),
        ("size", 1281),
        ("size", 512.0),
        ("size", True),
        ("size", "512"),
        ("strength", -0.1),
        ("strength", 1.1),
        ("strength", float("nan")),
        ("strength", 10**400),
        ("strength", "1"),
        ("strength", True),
        ("saturation", float("inf")),
        ("saturation", -1),
        ("chroma_guide", "lanczos"),
        ("edge_sigma", 0),
        ("chroma_limit", 0),
        ("ensemble", 2),
        ("ensemble", True),
        ("ensemble", "3"),
        ("skin_guard", 1.01),
        ("reference_amount", -0.01),
    ],
)
def test_bad_values_are_named(field: str, value: Any) -> None:
    with pytest.raises(BadSetting, match=field):
        Settings.from_preset(PORTRAIT, **{field: value})


def test_parameters_hold_only_what_had_an_effect() -> None:
    assert Settings.from_preset(PORTRAIT, reference_mode=True).parameters() == {
        "reference_mode": True,
        "size": PORTRAIT.size,
    }
    assert "reference_mode" not in Settings.from_preset(PORTRAIT).parameters()
