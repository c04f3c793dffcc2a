"""A photograph repaired through the engine: its size, its other pixels and its record."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from heliochrome.core.errors import BadImage, BadSetting
from heliochrome.core.photo import Photo, read_photo
from heliochrome.diffusion import GenerationRequest
from heliochrome.diffusion.photo_repair import repair_photo
from heliochrome.diffusion.photos import as_photo, colours, mask_of
from heliochrome.diffusion.repair import Blending

PHOTO = as_photo(np.random.default_rng(0).random((100, 150, 3), np.float32))
MASK = np.zeros((100, 150), np.float32)
MASK[5:15, 5:25] = MASK[80:95, 120:140] = 1


def asked(mask: np.ndarray = MASK, **fields: object) -> GenerationRequest:
    given = {"prompt": "whole", "num_inference_steps": 2, "seed": 2**32 - 1, **fields}
    return GenerationRequest(image=colours(PHOTO), mask=mask, **given)


def test_only_the_mask_changes_and_the_record_is_of_the_photograph(engine):
    done = repair_photo(PHOTO, asked(), engine, sha256=None, blending=Blending(0.25, 4))
    changed = (done.pixels != PHOTO.pixels).any(axis=-1)
    assert not changed[MASK == 0].any() and changed[MASK > 0].mean() > 0.9
    wanted = {"width": 150, "height": 100, "context": 0.25, "feather": 4, "regions": 2}
    assert done.provenance.kind == "inpainting"
    assert {name: done.provenance.parameters[name] for name in wanted} == wanted
    assert done.provenance.parameters["seeds"] == f"{2**32 - 1} 0"
    assert done.provenance.parameters["prompt"] == "whole"
    assert (done.settings["width"], done.settings["height"], done.seed) == (150, 100, 2**32 - 1)
    hidden = repair_photo(PHOTO, asked(), engine, sha256=None, prompts=False)
    assert "prompt" not in hidden.provenance.parameters


def test_a_drawn_seed_repeats_the_whole_repair(engine):
    first = repair_photo(PHOTO, asked(seed=None), engine, sha256=None)
    again = repair_photo(PHOTO, asked(seed=first.seed), engine, sha256=None)
    assert np.array_equal(first.pixels, again.pixels)


@pytest.mark.parametrize(
    ("name", "lossless", "told"),
    [
        ("a.jpg", False, True),
        ("a.webp", False, True),
        ("a.webp", True, False),
        ("a.png", False, False),
        ("a.tif", False, False),
    ],
)
def test_a_format_that_changes_what_is_whole_is_told(engine, tmp_path, name, lossless, told):
    photo = replace(PHOTO, lossless=lossless)
    done = repair_photo(photo, asked(), engine, sha256=None)
    sentences = done.write(tmp_path / name, done.provenance)
    changed = (read_photo(tmp_path / name).pixels != PHOTO.pixels).any(axis=-1)
    assert changed[MASK == 0].any() == told
    assert ["outside the mask" in sentence for sentence in sentences] == [True] * told


def test_a_mask_that_a_jpeg_has_blurred_repaints_only_what_is_white():
    grey = np.array([[0, 7, 9, 128, 246, 248, 255]], np.uint8)
    photo = Photo(np.repeat(grey[..., None], 3, axis=-1), "jpeg", 8)
    assert mask_of(photo)[0].tolist() == pytest.approx([0, 0, 9 / 255, 128 / 255, 246 / 255, 1, 1])
    half = replace(photo, alpha=np.full((1, 7), 7, np.uint8))
    assert not mask_of(half).any()


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (asked(width=64), BadSetting),
        (asked(height=64), BadSetting),
        (asked(num_images_per_prompt=2), BadSetting),
        (asked(mask=np.zeros((100, 150), np.float32)), BadImage),
        (asked(mask=MASK[:50]), BadImage),
        (GenerationRequest(prompt=""), BadImage),
    ],
)
def test_what_is_no_repair_is_refused(engine, request_, error):
    with pytest.raises(error):
        repair_photo(PHOTO, request_, engine, sha256=None)
