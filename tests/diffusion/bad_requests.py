"""Requests that must be refused, as JSON objects: shared by the tests of engine and handlers.

Each is (what is wrong, the body, the class of the error in heliochrome.core.errors). All are for
the tiny pipeline of tests/tiny_diffusion.py, whose sizes are multiples of 64.
"""

from __future__ import annotations

from typing import Any, Final

GOOD: Final[dict[str, Any]] = {"prompt": "the cat", "seed": 7, "num_inference_steps": 2}

_WRONG: Final[dict[str, dict[str, Any]]] = {
    "width is no multiple of 64": {"width": 96},
    "height is no multiple of 64": {"height": 520},
    "width is one": {"width": 1},
    "width is zero": {"width": 0},
    "width is negative": {"width": -64},
    "width is a float": {"width": 64.0},
    "width is a text": {"width": "64"},
    "width is a bool": {"width": True},
    "width is a million": {"width": 1_000_000},
    "width has 400 digits": {"width": 10**400},
    "too many pixels": {"width": 4096, "height": 4096},
    "no steps": {"num_inference_steps": 0},
    "negative steps": {"num_inference_steps": -1},
    "too many steps": {"num_inference_steps": 1_000_000_000},
    "half a step": {"num_inference_steps": 2.5},
    "steps are a bool": {"num_inference_steps": True},
    "steps are NaN": {"num_inference_steps": float("nan")},
    "guidance is NaN": {"guidance_scale": float("nan")},
    "guidance is infinite": {"guidance_scale": float("inf")},
    "guidance is negative": {"guidance_scale": -1},
    "guidance is a text": {"guidance_scale": "7.5"},
    "guidance is a bool": {"guidance_scale": False},
    "guidance has 400 digits": {"guidance_scale": 10**400},
    "strength without an image": {"strength": 0.5},
    "strength is zero": {"strength": 0},
    "strength is NaN": {"strength": float("nan")},
    "strength is above one": {"strength": 1.5},
    "seed is negative": {"seed": -1},
    "seed is 2**32": {"seed": 2**32},
    "seed is a float": {"seed": 1.5},
    "seed is a bool": {"seed": True},
    "seed is a text": {"seed": "x"},
    "no pictures": {"num_images_per_prompt": 0},
    "too many pictures": {"num_images_per_prompt": 1000},
    "pictures are a bool": {"num_images_per_prompt": True},
    "scheduler is LMS": {"scheduler": "lms"},
    "scheduler is LMS by class": {"scheduler": "LMSDiscreteScheduler"},
    "scheduler is unknown": {"scheduler": "dpm++"},
    "scheduler is a number": {"scheduler": 3},
    "scheduler is empty": {"scheduler": ""},
    "more steps than lcm has": {"scheduler": "lcm", "num_inference_steps": 51},
    "unknown field": {"num_steps": 4},
    "a field of the runtime": {"rng_seed": 4},
    "eta is used": {"eta": 0.5},
    "prompt is null": {"prompt": None},
    "prompt is a number": {"prompt": 5},
    "prompt is a list": {"prompt": ["the cat"]},
    "prompt is a book": {"prompt": "cat " * 100_000},
    "prompt holds NUL": {"prompt": "the\0cat"},
    "prompt holds half a character": {"prompt": "cat \ud83d"},
    "negative prompt is a number": {"negative_prompt": 5},
    "negative prompt holds NUL": {"negative_prompt": "the\0cat"},
}

BAD: Final[tuple[tuple[str, dict[str, Any], str], ...]] = (
    ("nothing at all", {}, "BadSetting"),
    *((what, GOOD | fields, "BadSetting") for what, fields in _WRONG.items()),
)
