"""What a file says of generated pictures, made by the real engine on the tiny pipeline."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

import tiny_diffusion
from heliochrome.core.extent import Extent
from heliochrome.core.notices import Notice
from heliochrome.core.provenance import from_xmp, to_xmp
from heliochrome.diffusion import GenerationRequest, Lora, open_engine
from heliochrome.diffusion.record import record
from heliochrome.diffusion.region import View
from heliochrome.diffusion.repair import repair, torn_regions

PICTURE = np.random.default_rng(0).random((64, 64, 3), np.float32)
MASK = np.zeros((64, 64), np.float32)
MASK[10:40, 10:40] = 1


def asked(**fields: object) -> GenerationRequest:
    return GenerationRequest(prompt="a cat", num_inference_steps=3, seed=7, **fields)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, "generation"),
        ({"image": PICTURE}, "variation"),
        ({"image": PICTURE, "mask": MASK}, "inpainting"),
    ],
)
def test_the_record_holds_every_setting_that_was_used(engine, fields, kind):
    made = engine.generate(asked(**fields))
    told = record([made], device="CPU", sha256="ab" * 32)
    assert (told.kind, told.model, told.model_sha256) == (kind, "tiny", "ab" * 32)
    wanted = {
        "prompt": "a cat",
        "negative_prompt": "",
        "width": 64,
        "height": 64,
        "num_inference_steps": 3,
        "guidance_scale": 7.5,
        "scheduler": "pndm",
        "seed": 7,
        "device": "CPU",
    }
    assert {name: told.parameters[name] for name in wanted} == wanted
    assert ("strength" in told.parameters) == (kind != "generation")
    assert from_xmp(to_xmp(told, None)) == told


def test_the_seeds_of_all_requests_are_told(engine):
    several = [engine.generate(asked(num_images_per_prompt=2)), engine.generate(asked())]
    assert record(several, device="CPU", sha256=None).parameters["seeds"] == "7 8 7"
    assert "seeds" not in record(several[1:], device="CPU", sha256=None).parameters


def test_without_prompts_no_word_of_them_is_recorded(engine):
    words = " ".join(f"secret{number}" for number in range(120))
    made = engine.generate(
        GenerationRequest(prompt=words, negative_prompt="hidden", num_inference_steps=1)
    )
    assert made.notices, "the prompt was not shortened"
    kept, without = (
        to_xmp(record([made], device="CPU", sha256=None, prompts=prompts), None).decode()
        for prompts in (True, False)
    )
    assert "secret1" in kept and "hidden" in kept
    assert "secret" not in without and "hidden" not in without


def test_notices_come_once_and_those_of_the_caller_first(engine):
    made = engine.generate(asked(negative_prompt="fog", guidance_scale=1.0))
    told = record([made, made], device="CPU", sha256=None, notices=[Notice("mine", "Mine.")])
    assert len(told.notices) == 2
    assert told.notices[0] == "Mine."


@pytest.mark.parametrize("everything", [False, True])
def test_the_engine_repaints_the_regions_of_a_photograph(engine, everything):
    photo = np.random.default_rng(1).random((100, 150, 3), np.float32)
    mask = np.full((100, 150), float(everything), np.float32)
    mask[20:50, 30:80] = 1
    before = photo.copy()

    def repaint(image, where, index):
        height, width = where.shape
        made = engine.generate(asked(image=image, mask=where, width=width, height=height))
        return made.images[0]

    regions = torn_regions(photo, mask, View.of(engine.model))
    done = repair(photo, mask, regions, repaint)
    assert np.array_equal(done.image[mask == 0], before[mask == 0])
    assert np.abs(done.image - before)[mask > 0].mean() > 0.01
    assert np.array_equal(photo, before)


def test_a_model_of_one_size_sees_no_other(engine):
    model, only = engine.model, Extent(64, 128)
    assert View.of(model) == View(model.native, model.size_step)
    assert View.of(replace(model, fixed=only)) == View(only, model.size_step, fixed=True)


def test_every_lora_is_recorded_with_its_digest(tiny, tmp_path):
    files = [tiny_diffusion.lora(tmp_path / f"{n}.safetensors", seed=n, gain=0.2) for n in (1, 2)]
    opened = open_engine(tiny, loras=[Lora(files[0]), Lora(files[1], -0.5)])
    try:
        told = record([opened.generate(asked())], device="CPU", sha256=None)
    finally:
        opened.close()
    one, two = (hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    assert {name: value for name, value in told.parameters.items() if "lora" in name} == {
        "lora": "1.safetensors",
        "lora_alpha": 1.0,
        "lora_sha256": one,
        "lora_2": "2.safetensors",
        "lora_2_alpha": -0.5,
        "lora_2_sha256": two,
    }
