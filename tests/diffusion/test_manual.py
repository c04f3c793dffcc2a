"""A field of a request, or a variable of the stores, that the manual does not know fails here."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from heliochrome.diffusion import SCHEDULERS, GenerationRequest
from heliochrome.diffusion.model import PIPELINES
from heliochrome.diffusion.request import MAX_GUIDANCE, MAX_IMAGES, MAX_SEED, MAX_SIDE, MAX_STEPS
from heliochrome.diffusion.settle import STRENGTH

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["en", "zh"])
def page(request: pytest.FixtureRequest) -> str:
    path = ROOT / f"help_docs/{request.param}/stable-diffusion.md"
    return path.read_text(encoding="utf-8")


def test_every_field_is_explained_with_its_range(page: str):
    names = {field.name for field in fields(GenerationRequest)} - {"image", "mask"}
    rows = {row for line in re.findall(r"^\| (`.*?) \|", page, re.M) for row in line.split("`")}
    assert names <= rows
    for number in (MAX_STEPS, f"{MAX_GUIDANCE:g}", MAX_SEED, MAX_IMAGES, MAX_SIDE):
        assert str(number) in page
    assert all(f"`{name}`" in page for name in SCHEDULERS)


def test_the_defaults_are_those_of_the_code(page: str):
    """Each kind's guidance and each mode's strength stands in its field's row."""
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", page, re.M))
    for pipeline in PIPELINES.values():
        assert re.search(rf"(?<![\d.]){pipeline.guidance:g}(?![\d.]\d)", rows["guidance_scale"])
        assert str(pipeline.steps) in rows["num_inference_steps"]
    for strength in (*STRENGTH.values(), *node_strengths()):
        assert re.search(rf"(?<![\d.]){strength:g}(?![\d.]\d)", rows["strength"])


def node_strengths() -> list[float]:
    nodes = ROOT / "custom_nodes/heliochrome/nodes/diffusion"
    texts = (path.read_text(encoding="utf-8") for path in nodes.glob("*.py"))
    found = [
        float(one) for text in texts for one in re.findall(r"^_STRENGTH.*= (.+?)\s", text, re.M)
    ]
    assert len(found) == 2
    return found


def test_every_variable_of_the_stores_is_named(page: str):
    source = (ROOT / "custom_nodes/heliochrome/core/object_stores.py").read_text(encoding="utf-8")
    read = set(re.findall(r'"((?:AWS|ALIBABA_CLOUD|OSS|FC)_[A-Z_0-9]+)"', source))
    # Older names, and those that Function Compute sets by itself.
    own = {"AWS_ENDPOINT", "ALIBABA_CLOUD_REGION_ID", "FC_REGION"}
    assert len(read) > 5
    assert all(f"`{name}`" in page for name in read - own)
