"""Requests are checked before any model sees them."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import numpy as np
import pytest
from bad_requests import BAD, GOOD

from heliochrome.core import errors
from heliochrome.core.errors import BadImage, BadSetting
from heliochrome.diffusion import GenerationRequest
from heliochrome.diffusion.request import MAX_PROMPT_CHARACTERS

PICTURE = np.full((4, 5, 3), 0.5, np.float32)
PLANE = np.ones((4, 5), np.float32)
FOR_A_MODEL = {  # well formed: only a model can refuse them
    "width is no multiple of 64",
    "height is no multiple of 64",
    "width is one",
    "more steps than lcm has",
}


def test_the_table_is_large_and_is_json() -> None:
    assert len(BAD) >= 40
    assert len({what for what, _, _ in BAD}) == len(BAD)
    assert all(json.loads(json.dumps(body)).keys() == body.keys() for _, body, _ in BAD)


@pytest.mark.parametrize(
    ("body", "error"),
    [(body, error) for what, body, error in BAD if what not in FOR_A_MODEL],
    ids=[what for what, _, _ in BAD if what not in FOR_A_MODEL],
)
def test_bad_requests_are_refused_with_one_short_sentence(body: dict[str, Any], error: str) -> None:
    with pytest.raises(getattr(errors, error)) as raised:
        GenerationRequest.from_mapping(body)
    assert 10 < len(str(raised.value)) < 400


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": ""},
        {"prompt": "🙂 \u202e 中文 \x07"},
        {"prompt": "a" * MAX_PROMPT_CHARACTERS},
        {"prompt": "x", "eta": 0},
        {"prompt": "x", "eta": 0.0},
        {"prompt": "x", "seed": None, "width": None},
        {"prompt": "x", "seed": 0, "guidance_scale": 0},
        {"prompt": "x", "seed": 2**32 - 1, "guidance_scale": 50, "num_images_per_prompt": 16},
        {"prompt": "x", "num_inference_steps": 250, "width": 2048, "height": 2048},
    ],
)
def test_what_is_within_the_limits_is_taken(fields: dict[str, Any]) -> None:
    made = GenerationRequest.from_mapping(fields)
    assert all(getattr(made, name) == value for name, value in fields.items() if name != "eta")


@pytest.mark.parametrize(
    ("field", "meant"),
    [("num_steps", "num_inference_steps"), ("cfg_scale", "guidance_scale"), ("Prompt", "prompt")],
)
def test_an_unknown_field_names_the_nearest(field: str, meant: str) -> None:
    with pytest.raises(BadSetting, match=rf"{field}.*did you mean {meant}\?"):
        GenerationRequest.from_mapping(GOOD | {field: 1})


@pytest.mark.parametrize("field", ["image", "mask"])
def test_pictures_are_no_json_fields(field: str) -> None:
    with pytest.raises(BadSetting, match=f"no field '{field}'"):
        GenerationRequest.from_mapping(GOOD | {field: "AAAA"})


def test_lms_is_refused_with_the_reason() -> None:
    with pytest.raises(BadSetting, match="would run DDIM under its name"):
        GenerationRequest(prompt="x", scheduler="lms")


def test_numbers_too_long_to_print_are_refused() -> None:
    with pytest.raises(BadSetting, match="got int too long to show"):
        GenerationRequest(prompt="x", seed=10**5000)


@pytest.mark.parametrize(
    ("image", "mask", "mode"),
    [
        (None, None, "text-to-image"),
        (PICTURE, None, "image-to-image"),
        (PICTURE, PLANE, "inpaint"),
        (PICTURE, np.ones((9, 9), np.float32), "inpaint"),
    ],
)
def test_the_pictures_decide_the_mode(image: Any, mask: Any, mode: str) -> None:
    assert GenerationRequest(prompt="x", image=image, mask=mask).mode == mode
    assert GenerationRequest.from_mapping(GOOD, image=image, mask=mask).mode == mode


@pytest.mark.parametrize(
    ("image", "mask", "says"),
    [
        (None, PLANE, "without an image"),
        (PICTURE.astype(np.float64), None, "float64"),
        ((PICTURE * 255).astype(np.uint8), None, "uint8"),
        (PICTURE.tolist(), None, "list"),
        (PICTURE[0], None, "(5, 3)"),
        (PICTURE[None], None, "(1, 4, 5, 3)"),
        (PICTURE[:, :, :1], None, "(4, 5, 1)"),
        (PICTURE[:0], None, "(0, 5, 3)"),
        (np.full_like(PICTURE, np.nan), None, "NaN"),
        (np.full_like(PICTURE, np.inf), None, "NaN or infinite"),
        (PICTURE, PLANE[..., None], "(4, 5, 1)"),
        (PICTURE, PLANE > 0, "bool"),
        (PICTURE, PLANE[:, :0], "(4, 0)"),
        (PICTURE, np.full_like(PLANE, np.nan), "NaN"),
        (PICTURE, np.full_like(PLANE, 255), "got 255 to 255: divide"),
        (PICTURE, np.full_like(PLANE, -0.1), "from 0 to 1"),
    ],
)
def test_bad_pictures_are_refused(image: Any, mask: Any, says: str) -> None:
    with pytest.raises(BadImage, match=re.escape(says)):
        GenerationRequest(prompt="x", image=image, mask=mask)


def test_a_request_is_frozen_and_compares_by_its_words_and_numbers() -> None:
    one = GenerationRequest(prompt="x", seed=1, image=PICTURE)
    assert one == GenerationRequest(prompt="x", seed=1, image=PICTURE.copy())
    assert one != GenerationRequest(prompt="x", seed=2, image=PICTURE)
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.seed = 2  # type: ignore[misc]
