"""What is asked of one generation, validated before any model sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BadImage, BadSetting, nearest, shown
from ..core.lab import FloatArray
from ..core.pixels import require_rgb
from .schedulers import scheduler_name

Mode = Literal["text-to-image", "image-to-image", "inpaint"]
MODES: Final[tuple[Mode, ...]] = ("text-to-image", "image-to-image", "inpaint")

MAX_IMAGES: Final = 16
MAX_STEPS: Final = 250
MAX_GUIDANCE: Final = 50.0
MAX_SIDE: Final = 4096
MAX_PIXELS: Final = 2048 * 2048
MAX_PROMPT_CHARACTERS: Final = 4000  # many times what a model reads
MAX_SEED: Final = 2**32 - 1
# Fields of the seed system's requests that mean nothing here, and the one value they may have.
_WITHOUT_EFFECT: Final = {"eta": 0}


@dataclass(frozen=True, kw_only=True)
class GenerationRequest:
    """Raises BadSetting, BadImage. None is "the model's own": `Engine.generate` fills it in.

    prompt, negative_prompt: any text without NUL, up to MAX_PROMPT_CHARACTERS; longer than the
    model reads, it is shortened with a notice. width, height: pixels. guidance_scale: 1 and
    below is without guidance. strength: share of the steps that are done on `image`, in (0, 1].
    seed: of the first picture; the others have the following ones. None: drawn.
    scheduler: one of SCHEDULERS, or diffusers' class name (kept as the former).
    image: (H, W, 3) float32 sRGB in [0, 1]. mask: (H, W) float32, 1 = repaint, 0 = keep.
    An engine scales both to the picture's size, shows the model all of it, and what it gives back
    has been through the model's VAE: pixels outside the mask are close to the image's, not the
    same. `photo_repair.repair_photo` keeps them, and the photograph's size.
    """

    prompt: str
    negative_prompt: str = ""
    width: int | None = None
    height: int | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    strength: float | None = None
    seed: int | None = None
    num_images_per_prompt: int = 1
    scheduler: str | None = None
    image: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    mask: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        _require_text("prompt", self.prompt)
        _require_text("negative_prompt", self.negative_prompt)
        _require_whole("width", self.width, 1, MAX_SIDE)
        _require_whole("height", self.height, 1, MAX_SIDE)
        if self.width and self.height and self.width * self.height > MAX_PIXELS:
            raise BadSetting(
                f"width x height may be at most {MAX_PIXELS} pixels, got "
                f"{self.width}x{self.height}: ask for a smaller picture."
            )
        _require_whole("num_inference_steps", self.num_inference_steps, 1, MAX_STEPS)
        _require_whole("seed", self.seed, 0, MAX_SEED)
        _require_whole("num_images_per_prompt", self.num_images_per_prompt, 1, MAX_IMAGES)
        _require_number("guidance_scale", self.guidance_scale, 0, MAX_GUIDANCE)
        _require_number("strength", self.strength, 0, 1)
        if self.scheduler is not None:
            if not isinstance(self.scheduler, str):
                raise BadSetting(f"scheduler must be a name, got {shown(self.scheduler)}.")
            object.__setattr__(self, "scheduler", scheduler_name(self.scheduler))
        if self.strength == 0:
            raise BadSetting("strength must be more than 0: at 0 the picture stays as it is.")
        if self.strength is not None and self.image is None:
            raise BadSetting("strength was given without an image: leave it out, or give one.")
        if self.mask is not None and self.image is None:
            raise BadImage("a mask was given without an image: give the picture it belongs to.")
        if self.image is not None:
            _require_float("image", self.image)
            require_rgb(self.image, "image")
        if self.mask is not None:
            _require_float("mask", self.mask)
            _require_plane(self.mask)

    @property
    def mode(self) -> Mode:
        """Which pictures are there decides."""
        if self.image is None:
            return "text-to-image"
        return "image-to-image" if self.mask is None else "inpaint"

    @classmethod
    def from_mapping(
        cls,
        values: Mapping[str, object],
        *,
        image: FloatArray | None = None,
        mask: FloatArray | None = None,
    ) -> GenerationRequest:
        """From a JSON object with these fields' names; pictures are given apart.

        null counts as left out. Raises BadSetting for an unknown field, naming the nearest.
        """
        known = [one.name for one in fields(cls) if one.name not in ("image", "mask")]
        given: dict[str, object] = {}
        for name, value in values.items():
            if name in _WITHOUT_EFFECT:
                if isinstance(value, bool) or value not in (None, _WITHOUT_EFFECT[name]):
                    raise BadSetting(
                        f"{name} may only be {_WITHOUT_EFFECT[name]}, got {shown(value)}: "
                        "leave it out."
                    )
            elif name not in known:
                raise BadSetting(
                    f"there is no field {shown(name)}: did you mean {nearest(name, known)}? "
                    f"Known are {', '.join(known)}."
                )
            elif value is not None:
                given[name] = value
        if "prompt" not in given:
            raise BadSetting("prompt is missing: give a text (it may be empty).")
        return cls(**given, image=image, mask=mask)  # type: ignore[arg-type]  # checked above all


def following(seed: int, number: int) -> int:
    """The seed of the picture with this number, from 0 on, where the first one's is `seed`."""
    return (seed + number) % (MAX_SEED + 1)


def _require_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise BadSetting(f"{name} must be a text, got {shown(value)}.")
    if len(value) > MAX_PROMPT_CHARACTERS:
        raise BadSetting(
            f"{name} may have at most {MAX_PROMPT_CHARACTERS} characters, got {len(value)}: "
            "shorten it."
        )
    if "\0" in value:
        raise BadSetting(f"{name} holds a NUL character: remove it.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadSetting(
            f"{name} holds half a character (a lone surrogate) at place {error.start}: remove it."
        ) from error


def _require_whole(name: str, value: object, low: int, high: int) -> None:
    """None will do."""
    whole = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    if value is not None and not whole:
        raise BadSetting(f"{name} must be a whole number from {low} to {high}, got {shown(value)}.")


def _require_number(name: str, value: object, low: float, high: float) -> None:
    """None will do. NaN is in no range."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (number and low <= value <= high):  # type: ignore[operator]
        raise BadSetting(f"{name} must be a number from {low} to {high:g}, got {shown(value)}.")


def _require_float(name: str, value: object) -> None:
    if not isinstance(value, np.ndarray) or value.dtype != np.float32:
        came = f"{value.dtype} pixels" if isinstance(value, np.ndarray) else type(value).__name__
        raise BadImage(f"{name}: expected float32 pixels from 0 to 1, got {came}.")


def _require_plane(mask: FloatArray) -> None:
    if mask.ndim != 2 or mask.size == 0:
        raise BadImage(f"mask: expected one plane of shape (H, W), got shape {mask.shape}.")
    low, high = float(mask.min()), float(mask.max())
    if not np.isfinite((low, high)).all():
        raise BadImage("mask: expected numbers from 0 to 1, got some that are NaN or infinite.")
    if not 0 <= low <= high <= 1:
        raise BadImage(
            f"mask: expected numbers from 0 to 1, got {low:g} to {high:g}: divide those of an "
            "8-bit picture by 255."
        )
