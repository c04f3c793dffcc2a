"""The catalogue that is shipped, and what happens to a broken one."""

import json
from pathlib import Path

import pytest

from heliochrome.core.catalog import ModelSpec, load_catalog, parse_catalog
from heliochrome.core.errors import BadSetting, ModelNotFound
from heliochrome.core.presets import DEFAULT_MODEL, PRESETS

TINY_BIN = "8a1277bc90a1bfbb6d2d83933a9a6bc821931879ca93e26e4fcec12165d41fce"
PAPER = "5c77db8292398a2ec1397003f0a90266c28e97b013515d5e9a32e73a4c54a67d"


def good() -> dict:
    return {
        "format": 1,
        "models": [
            {
                "id": "m",
                "title": "M",
                "licence": "Apache-2.0",
                "sources": [
                    {
                        "host": "huggingface",
                        "repo": "o/r",
                        "revision": "main",
                        "file": "w.bin",
                        "size": 5,
                        "sha256": "a" * 64,
                        "checked_against": "nothing",
                    }
                ],
            }
        ],
    }


def test_shipped_catalogue_has_the_four_checkpoints_and_every_preset_s_model():
    models = load_catalog().models
    assert set(models) == {"ddcolor_v1", "ddcolor_v2", "ddcolor_artistic", "ddcolor_paper"}
    assert DEFAULT_MODEL in models
    assert {preset.model for preset in PRESETS.values()} <= set(models)
    assert {spec.licence for spec in models.values()} == {"Apache-2.0"}


def test_a_published_digest_is_bound_to_its_file_only():
    tiny = load_catalog()["ddcolor_v1"]
    assert tiny.sha256_for(".bin") == {TINY_BIN}
    assert not tiny.sha256_for(".pth")
    paper = load_catalog()["ddcolor_paper"]
    assert PAPER in paper.known_sha256
    assert not any(source.sha256 for source in paper.sources)


def test_a_source_with_a_digest_is_pinned_to_a_revision_that_cannot_move():
    for spec in load_catalog().models.values():
        for source in spec.sources:
            if source.sha256:
                assert len(source.revision) == 40 and int(source.revision, 16), source


def test_verified_sources_come_before_unverified_ones():
    for spec in load_catalog().models.values():
        known = [source.sha256 is not None for source in spec.sources]
        assert known == sorted(known, reverse=True), spec.id


@pytest.mark.parametrize(
    ("model", "index", "path"),
    [
        (
            "ddcolor_v2",
            0,
            "piddnad/ddcolor_modelscope/resolve/060f67494e31883a4b13cb27f889f3154847ada4/"
            "pytorch_model.bin",
        ),
        (
            "ddcolor_v2",
            2,
            "models/damo/cv_ddcolor_image-colorization/resolve/master/pytorch_model.pt",
        ),
        ("ddcolor_paper", 0, "piddnad/ddcolor_paper/resolve/main/pytorch_model.bin"),
    ],
)
def test_addresses(model: str, index: int, path: str):
    assert load_catalog()[model].sources[index].path == path


def test_unknown_model_lists_the_known_ones():
    with pytest.raises(ModelNotFound, match=r"'ddcolor_v9'.*ddcolor_v1.*ddcolor_paper"):
        load_catalog()["ddcolor_v9"]


def test_owner_of_a_digest():
    owner = load_catalog().owner_of(TINY_BIN)
    assert isinstance(owner, ModelSpec) and owner.id == "ddcolor_v1"
    assert load_catalog().owner_of("0" * 64) is None


def edit(path: str, value: object) -> str:
    data: dict = good()
    *way, last = path.split(".")
    spot: dict = data
    for step in way:
        spot = spot[int(step)] if step.isdigit() else spot[step]
    if value is None:
        del spot[last]
    else:
        spot[last] = value
    return json.dumps(data)


SOURCE = "models.0.sources.0"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[" * 200_000, "not valid JSON"),
        ("[]", "expected a JSON object, got list"),
        (edit("format", 2), "format must be 1"),
        (edit("models", []), "models must be a list that is not empty"),
        (edit("models", good()["models"] * 2), "model 'm' is listed twice"),
        (edit("models.0.id", "../m"), "model '../m': id must be text like"),
        (edit("models.0.title", None), "model 'm': title missing"),
        (edit("models.0.license", "x"), "license not known; is it misspelt"),
        (edit("models.0.unplaced_sha256", ["zz"]), "64 lower-case hex digits"),
        (edit(f"{SOURCE}.host", "ftp"), "host must be one of huggingface, modelscope"),
        (edit(f"{SOURCE}.size", 0), "size must be a positive number"),
        (edit(f"{SOURCE}.size", True), "size must be a positive number"),
        (edit(f"{SOURCE}.sha256", "A" * 64), "source 'w.bin': sha256 must be text like"),
        (edit(f"{SOURCE}.file", "w.exe"), "file must end in one of"),
        (edit("models.0.sources", good()["models"][0]["sources"] * 2), "different file suffixes"),
    ],
)
def test_a_broken_catalogue_says_what_is_wrong(text: str, message: str):
    with pytest.raises(BadSetting, match=message) as caught:
        parse_catalog(text, origin="my.json")
    assert "my.json" in str(caught.value)


def test_the_unbroken_example_is_accepted():
    spec = parse_catalog(json.dumps(good()), origin="my.json")["m"]
    assert (spec.size, spec.known_sha256) == (5, {"a" * 64})


def test_missing_catalogue_file(tmp_path: Path):
    with pytest.raises(BadSetting, match="Cannot read the model catalogue"):
        load_catalog(tmp_path / "none.json")


@pytest.mark.parametrize("content", [b"\xff\xfe{}", '{"format": "ä"}'.encode("latin-1")])
def test_a_catalogue_file_that_is_not_utf_8(tmp_path: Path, content: bytes):
    path = tmp_path / "own.json"
    path.write_bytes(content)
    with pytest.raises(BadSetting, match=r"own\.json is not a model catalogue: .* UTF-8"):
        load_catalog(path)
