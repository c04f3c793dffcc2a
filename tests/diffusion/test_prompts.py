"""Prompts longer than the model reads are cut after a whole word, and the rest is told."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import tiny_diffusion
from heliochrome.core.errors import BadWeights
from heliochrome.diffusion import Engine, GenerationRequest, open_engine
from heliochrome.diffusion.prompts import TokenCount, shorten, token_counter

LIMIT = tiny_diffusion.TOKENS
LONG = "the cat and dog " * 30
CHINESE = "一张修复好的老照片，色彩自然" * 20


@pytest.fixture(scope="module")
def count() -> TokenCount:
    return token_counter((tiny_diffusion.TOKENIZER,))


@pytest.mark.parametrize("prompt", ["", "the cat", "🙂", "  the   cat\n"])
def test_short_prompts_stay_as_they_are(prompt: str, count: TokenCount) -> None:
    assert shorten(prompt, LIMIT, count) == (prompt, "")


@pytest.mark.parametrize("prompt", [LONG, CHINESE, f"the cat {CHINESE}", "🙂 " * 90, "it's " * 90])
def test_long_ones_are_cut_after_a_whole_word(prompt: str, count: TokenCount) -> None:
    kept, dropped = shorten(prompt, LIMIT, count)
    assert kept and dropped
    assert count(kept) <= LIMIT
    # Nothing is lost but the space between, and one word more would not fit.
    assert (kept + dropped).replace(" ", "") == prompt.replace(" ", "")
    following = dropped[0] if dropped[0] in CHINESE else dropped.split()[0]
    between = "" if following in CHINESE else " "
    assert count(kept + between + following) > LIMIT
    assert not between or prompt.startswith(f"{kept} {following}")


@pytest.mark.parametrize("word", ["a" * 300, "🙂" * 100, "中" * 300])
def test_a_word_too_long_alone_is_cut_within(word: str, count: TokenCount) -> None:
    kept, dropped = shorten(word, LIMIT, count)
    assert kept + dropped == word
    assert LIMIT - 6 < count(kept) <= LIMIT


def test_the_longest_that_fits_fits(count: TokenCount) -> None:
    exactly = " ".join(["cat"] * (LIMIT - 2))
    assert count(exactly) == LIMIT
    assert shorten(exactly, LIMIT, count) == (exactly, "")
    assert shorten(f"{exactly} dog", LIMIT, count) == (exactly, "dog")


def test_the_engine_tells_what_was_left_out(engine: Engine) -> None:
    fitting = " ".join(["cat"] * (LIMIT - 2))
    asked = GenerationRequest(prompt=f"{fitting} dog", seed=1, num_inference_steps=2)
    made = engine.generate(asked)
    (notice,) = made.notices
    assert notice.code == "diffusion-prompt-shortened"
    assert notice.values == {"field": "prompt", "tokens": LIMIT, "dropped": "dog"}
    assert made.request.prompt == asked.prompt
    # The same as if the fitting part alone had been asked for: the mark of the end is there.
    alone = engine.generate(GenerationRequest(prompt=fitting, seed=1, num_inference_steps=2))
    assert (made.images == alone.images).all()
    assert not alone.notices


def test_the_negative_prompt_is_shortened_too(engine: Engine) -> None:
    made = engine.generate(
        GenerationRequest(prompt="dog", negative_prompt=LONG, seed=1, num_inference_steps=2)
    )
    assert [notice.values["field"] for notice in made.notices] == ["negative_prompt"]


@pytest.mark.parametrize(
    ("prompt", "counted"),
    [("x" * (LIMIT - 2), False), ("the cat " * 9 + "dogs", True), ("é", True), ("", False)],
)
def test_plain_words_short_enough_for_any_tokenizer_are_not_counted(
    prompt: str, counted: bool, count: TokenCount
) -> None:
    asked = []

    def counting(text: str) -> int:
        asked.append(text)
        return count(text)

    assert shorten(prompt, LIMIT, counting) == (prompt, "")
    assert bool(asked) is counted
    assert count(prompt) <= LIMIT


def test_the_tokenizer_is_opened_when_it_is_needed(tmp_path: Path) -> None:
    folder = tiny_diffusion.build(tmp_path / "m")
    engine = open_engine(folder)
    shutil.rmtree(folder / "tokenizer")
    asked = GenerationRequest(prompt="the cat", seed=1, num_inference_steps=1)
    first = engine.generate(asked)
    with pytest.raises(BadWeights, match="tokenizer cannot be opened"):
        engine.generate(replace(asked, prompt=LONG))
    assert (engine.generate(asked).images == first.images).all()
    engine.close()
