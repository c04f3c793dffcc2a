"""What the user asked for: a preset, or that one be chosen, and the values they set themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import BadSetting
from .extent import Extent
from .faces import LOOK_SIZE, Face, find_faces
from .jobs import Cancel, never_cancel
from .lab import ImageArray
from .notices import Notice
from .presets import AUTO_PRESET, DEFAULT_PRESET, PRESETS, SIZE_STEP, Preset
from .scene import PresetChoice, choose_preset
from .settings import Settings
from .shrink import lightness_at


@dataclass(frozen=True)
class Prepared:
    """The settings of one photograph.

    preset: the id of where they come from. faces: those found on the way, None if not looked for.
    """

    preset: str
    settings: Settings
    notices: tuple[Notice, ...] = ()
    faces: tuple[Face, ...] | None = None


@dataclass(frozen=True)
class Recipe:
    """Validated on construction; raises BadSetting.

    preset: an id of PRESETS, or "auto". overrides: values of `Settings` that replace those of
    the preset. at_most: values that an automatically chosen preset may not exceed.
    """

    preset: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    at_most: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.preset not in (AUTO_PRESET, *PRESETS):
            known = ", ".join((AUTO_PRESET, *PRESETS))
            raise BadSetting(f"preset must be one of {known}, got {self.preset!r}.")
        Settings.from_preset(PRESETS.get(self.preset, DEFAULT_PRESET), **self.overrides)

    @classmethod
    def of_widgets(
        cls, preset: str, values: Mapping[str, Any], bounds: Mapping[str, Any]
    ) -> Recipe:
        """From a form that always has a value for everything; None is one that it lacks.

        `bounds` are taken as they are, or, with "auto", as what the chosen preset may not exceed.
        """
        given = {name: value for name, value in bounds.items() if value is not None}
        if preset == AUTO_PRESET:
            return cls(preset, values, given)
        return cls(preset, {**values, **given})

    def prepare(self, photo: ImageArray, cancel: Cancel = never_cancel) -> Prepared:
        """The settings for `photo`, (H, W, 3) sRGB uint8 | uint16 | float32 in [0, 1].

        The caller has seen to that with `pixels.require_rgb`. Raises OutOfMemory and whatever
        `cancel` raises.
        """
        if self.preset != AUTO_PRESET:
            settings = Settings.from_preset(PRESETS[self.preset], **self.overrides)
            return Prepared(self.preset, settings)
        light = lightness_at(photo, Extent.of(photo.shape).fit(LOOK_SIZE, SIZE_STEP), cancel=cancel)
        faces = find_faces(light)
        choice = choose_preset(light, faces)
        settings = Settings.from_preset(choice.preset, **self._values(choice.preset))
        return Prepared(choice.preset.id, settings, (_told(choice),), faces)

    def _values(self, preset: Preset) -> dict[str, Any]:
        bounded = {name: min(most, getattr(preset, name)) for name, most in self.at_most.items()}
        return {**bounded, **self.overrides}


def _told(choice: PresetChoice) -> Notice:
    text = f"Preset {choice.preset.id}: {choice.reason}"
    if choice.seen == "faces":
        return Notice("preset-chosen-faces", text, {"count": choice.count})
    if choice.seen == "uprights":
        return Notice("preset-chosen-uprights", text, {"count": choice.count})
    return Notice("preset-chosen-nothing", text)
