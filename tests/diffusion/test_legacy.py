"""Models of stable_diffusion.openvino converted, compared, and run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import openvino_genai
import pytest
from openvino import opset13 as op

import tiny_diffusion
import tiny_legacy
from heliochrome.core.errors import (
    BadWeights,
    Cancelled,
    ChecksumMismatch,
    HeliochromeError,
    ModelNotFound,
    OutputExists,
)
from heliochrome.core.extent import Extent
from heliochrome.core.jobs import never_cancel, no_progress
from heliochrome.core.store import ModelStore
from heliochrome.diffusion import GenerationRequest, legacy, open_engine
from heliochrome.diffusion.clip_tokenizer import put_tokenizer
from heliochrome.diffusion.legacy import convert
from heliochrome.diffusion.legacy_check import TOLERANCE, Change, compare
from heliochrome.diffusion.sources import find_diffusion_models, resolve

TEXTS = [
    "",
    "a photograph of a cat and a dog in the garden",
    "A  Photograph\tof\nTHE old HOUSE",
    "it's 1923: don't, we'll, they're!?",
    "café naïve über straße ÅNGSTRÖM Ελληνικά",
    "一只猫坐在旧照片里，戴着红帽子。",
    "emoji 🐈‍⬛👩🏽‍🚀 and ﬁ ligatures ½",
    "<|startoftext|> inside <|endoftext|> text <|endoftext|>",
    "punctuation...!!!???---((()))[]{}@#$%^&*",
    "long " * 100,
    "\u0301combining first, e\u0301 after",
    "\x00\x01control\x7f",
]


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_legacy.build(tmp_path_factory.mktemp("old") / "model")


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CLIP's own two files, as they come with the original model."""
    folder = tmp_path_factory.mktemp("words")
    for name in ("vocab.json", "merges.txt"):
        shutil.copyfile(tiny_diffusion.TOKENIZER / name, folder / name)
    return folder


def picture(folder: Path, **fields: Any) -> np.ndarray[Any, Any]:
    engine = open_engine(folder)
    try:
        request = GenerationRequest(
            prompt="a red house by the sea",
            negative_prompt="snow",
            seed=7,
            num_inference_steps=4,
            **fields,
        )
        return engine.generate(request).images[0]
    finally:
        engine.close()


@pytest.mark.parametrize("mode", ["text-to-image", "image-to-image", "inpaint"])
def test_the_converted_model_makes_the_same_pictures(
    old: Path, words: Path, tmp_path: Path, mode: str
):
    made = convert(old, tmp_path / "new", tokenizer=words)
    assert made.native == Extent(64, 64) and made.encoder
    assert set(made.differences) == {"text_encoder", "unet", "vae_decoder", "vae_encoder"}
    assert all(value < TOLERANCE / 100 for value in made.differences.values())
    # Both prompts in one graph, and still one set of weights in its file.
    written = (made.folder / "text_encoder/openvino_model.bin").stat().st_size
    assert written < 1.01 * (old / "text_encoder.bin").stat().st_size
    reference = tiny_diffusion.build(tmp_path / "reference")
    fields: dict[str, Any] = {}
    if mode != "text-to-image":
        across = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))
        fields["image"] = np.stack([across, across.T, np.full_like(across, 0.4)], -1)
        fields["strength"] = 0.8
    if mode == "inpaint":
        fields["mask"] = np.zeros((64, 64), np.float32)
        fields["mask"][16:48, 16:48] = 1
    old_way, new_way = picture(reference, **fields), picture(made.folder, **fields)
    assert np.abs(old_way - new_way).max() <= 1 / 255
    assert old_way.std() > 0.05


@pytest.mark.parametrize("step", [([], "f64"), ([1], "i64"), ([2], "f32"), ([], "i64")])
def test_time_steps_of_every_form_are_converted(tmp_path: Path, step: tuple[list[int], str]):
    old = tiny_legacy.build(tmp_path / "old", step=step)
    made = convert(old, tmp_path / "new", tokenizer=tiny_diffusion.TOKENIZER)
    assert made.differences["unet"] < TOLERANCE / 100


def test_without_an_encoder_pictures_come_from_text_only(tmp_path: Path):
    old = tiny_legacy.build(tmp_path / "old", encoder=False)
    made = convert(old, tmp_path / "new", tokenizer=tiny_diffusion.TOKENIZER)
    engine = open_engine(made.folder)
    try:
        assert not made.encoder and engine.model.modes == ("text-to-image",)
        assert engine.model.fixed == made.native and engine.model.needs_guidance
    finally:
        engine.close()


@pytest.mark.parametrize("text", TEXTS)
def test_the_tokenizer_is_what_transformers_would_make(words: Path, tmp_path: Path, text: str):
    put_tokenizer(words, tmp_path / "made", 77)
    made, official = (
        openvino_genai.Tokenizer(folder) for folder in (tmp_path / "made", tiny_diffusion.TOKENIZER)
    )
    ids, expected = (np.array(one.encode(text).input_ids.data) for one in (made, official))
    assert ids.dtype == expected.dtype and ids.tolist() == expected.tolist()
    assert (made.get_bos_token_id(), made.get_eos_token_id(), made.get_pad_token_id()) == (
        official.get_bos_token_id(),
        official.get_eos_token_id(),
        official.get_pad_token_id(),
    )


def noisy(model: ov.Model) -> ov.Model:
    """Gives other numbers every time."""
    (result,) = model.get_results()
    value = result.input_value(0)
    noise = op.random_uniform(op.shape_of(value), number(0), number(1), "f32")
    return ov.Model([op.result(op.add(value, noise))], model.get_parameters(), "noisy")


def endless(model: ov.Model) -> ov.Model:
    """Gives infinity."""
    (result,) = model.get_results()
    beyond = op.divide(op.exp(result.input_value(0)), op.constant(np.float32(0)))
    return ov.Model([op.result(beyond)], model.get_parameters(), "endless")


def wordless(model: ov.Model) -> ov.Model:
    """A text encoder that looks nothing up."""
    (tokens,) = model.get_parameters()
    flat = op.unsqueeze(op.convert(tokens, ov.Type.f32), op.constant([2], ov.Type.i64))
    wide = op.multiply(flat, op.constant(np.ones((1, 1, 16), np.float32)))
    return ov.Model([op.result(wide)], [tokens], "wordless")


def open_sizes(model: ov.Model) -> ov.Model:
    (latents,) = model.get_parameters()
    latents.set_partial_shape(ov.PartialShape([1, 4, -1, -1]))
    model.validate_nodes_and_infer_types()
    return model


def rewrite(path: Path, change: Any) -> None:
    model = ov.Core().read_model(path)
    changed = change(model).clone()
    del model
    ov.save_model(changed, path.with_name("changed.xml"), compress_to_fp16=False)
    for suffix in (".xml", ".bin"):
        path.with_name(f"changed{suffix}").replace(path.with_suffix(suffix))


def spoil(folder: Path, what: str) -> None:
    """Damage a good old model in one way."""
    if what == "no unet":
        (folder / "unet.bin").unlink()
    elif what == "empty bin":
        (folder / "unet.bin").write_bytes(b"")
    elif what == "half xml":
        text = (folder / "unet.xml").read_text()
        (folder / "unet.xml").write_text(text[: len(text) // 2])
    elif what == "another width":
        other = tiny_legacy.build(folder.parent / "other")
        for suffix in ("xml", "bin"):
            shutil.copyfile(other / f"vae_decoder.{suffix}", folder / f"unet.{suffix}")
    elif what == "open sizes":
        rewrite(folder / "vae_decoder.xml", open_sizes)
    elif what == "noisy decoder":
        rewrite(folder / "vae_decoder.xml", noisy)
    elif what == "endless encoder":
        rewrite(folder / "vae_encoder.xml", endless)
    elif what == "wordless text":
        rewrite(folder / "text_encoder.xml", wordless)


@pytest.mark.parametrize(
    ("what", "error", "says"),
    [
        ("no unet", ModelNotFound, "unet.bin is missing"),
        ("empty bin", BadWeights, "unet.xml"),
        ("half xml", BadWeights, "unet.xml is not a readable"),
        ("another width", BadWeights, "no input 'latent_model_input'; it has latents"),
        ("open sizes", BadWeights, "4 fixed sizes expected"),
        ("noisy decoder", BadWeights, "the converted vae_decoder differs"),
        ("endless encoder", BadWeights, "not finite"),
        ("wordless text", BadWeights, "does not look its tokens up"),
    ],
)
def test_what_cannot_be_converted_is_refused_and_nothing_is_left(
    old: Path, tmp_path: Path, what: str, error: type[HeliochromeError], says: str
):
    source = shutil.copytree(old, tmp_path / "source")
    spoil(source, what)
    with pytest.raises(error) as caught:
        convert(source, tmp_path / "out/new", tokenizer=tiny_diffusion.TOKENIZER)
    assert says in str(caught.value)
    out = tmp_path / "out"
    assert not out.exists() or [path.name for path in out.iterdir()] == [".new.lock"]


def after(change: Any) -> Any:
    """A change of what a network gives."""

    def apply(model: ov.Model) -> ov.Model:
        (result,) = model.get_results()
        changed = op.result(change(result.input_value(0)))
        made = ov.Model([changed], model.get_parameters(), "changed")
        made.outputs[0].get_tensor().set_names({"changed"})
        return made

    return apply


def number(value: Any, kind: Any = np.float32) -> Any:
    return op.constant(np.asarray(value, kind))


@pytest.mark.parametrize(
    ("name", "mistake"),
    [
        ("text_encoder", lambda out: op.gather(out, number([1, 0], np.int64), number(0, np.int64))),
        ("text_encoder", lambda out: op.gather(out, number([0, 0], np.int64), number(0, np.int64))),
        ("unet", lambda out: op.multiply(out, number(1.01))),
        ("unet", lambda out: op.slice(out, *(number([n], np.int64) for n in (0, 1, 1, 0)))),
        ("vae_decoder", lambda out: op.add(out, number(0.05))),
        ("vae_encoder", lambda out: op.multiply(out, number(legacy.SCALE))),
        ("vae_encoder", lambda out: op.divide(out, number(0))),
    ],
)
def test_a_mistake_in_converting_is_noticed(old: Path, tmp_path: Path, name: str, mistake: Any):
    made = convert(old, tmp_path / "new", tokenizer=tiny_diffusion.TOKENIZER)
    converted = made.folder / name / "openvino_model.xml"
    change = Change(name, old / f"{name}.xml", converted, 2, legacy.SCALE)
    assert compare([change], no_progress, never_cancel)[name] < TOLERANCE / 100
    rewrite(converted, after(mistake))
    with pytest.raises(BadWeights, match=f"the converted {name} differs"):
        compare([change], no_progress, never_cancel)


def test_a_folder_that_is_there_is_left_alone(old: Path, tmp_path: Path):
    (tmp_path / "new").mkdir()
    with pytest.raises(OutputExists):
        convert(old, tmp_path / "new", tokenizer=tiny_diffusion.TOKENIZER)
    assert list(tmp_path.iterdir()) == [tmp_path / "new"]


@pytest.mark.parametrize("calls", [1, 4, 9, 14])
def test_stopping_leaves_nothing(old: Path, tmp_path: Path, calls: int):
    asked = 0

    def cancel() -> None:
        nonlocal asked
        asked += 1
        if asked > calls:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        convert(old, tmp_path / "new", tokenizer=tiny_diffusion.TOKENIZER, cancel=cancel)
    assert [path.name for path in tmp_path.iterdir()] == [".new.lock"]


def test_a_killed_process_leaves_no_model_and_the_next_run_sweeps(old: Path, tmp_path: Path):
    target = tmp_path / "new"
    script = (
        "import sys, time; from pathlib import Path; from heliochrome.diffusion import legacy\n"
        "legacy.compare = lambda *_: (print('half', flush=True), time.sleep(60))\n"
        "legacy.convert(*map(Path, sys.argv[1:3]), tokenizer=Path(sys.argv[3]))"
    )
    command = [sys.executable, "-c", script, str(old), str(target), str(tiny_diffusion.TOKENIZER)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "half\n"
        process.kill()
    left = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert len(left) == 1 and left[0].name.startswith(".new.") and not target.exists()
    assert not find_diffusion_models(ModelStore([tmp_path], tmp_path / "cache"))
    convert(old, target, tokenizer=tiny_diffusion.TOKENIZER)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == [target]


def test_the_manifest_is_of_what_was_written(old: Path, words: Path, tmp_path: Path):
    shown: list[tuple[int, int]] = []
    made = convert(old, tmp_path / "new", tokenizer=words, progress=lambda *at: shown.append(at))
    assert shown == sorted(shown) and shown[-1][0] == shown[-1][1]
    store = ModelStore([tmp_path], tmp_path / "cache")
    assert resolve(store, "new") == made.folder
    manifest = json.loads((made.folder / "heliochrome-model.json").read_text())
    assert manifest["origin"] == f"converted from {old.name}"
    config = made.folder / "unet/config.json"
    config.write_text(config.read_text().replace('"sample_size": 8', '"sample_size": 9'))
    with pytest.raises(ChecksumMismatch, match=r"unet/config.json has SHA-256"):
        resolve(store, "new")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("vocab.json", "[]", "not CLIP's vocabulary"),
        ("vocab.json", "{", "not CLIP's vocabulary"),
        ("vocab.json", '{"a": 0, "<|endoftext|>": 1}', "<|startoftext|>"),
        ("vocab.json", '{"<|startoftext|>": 0, "<|endoftext|>": 2}', "every number"),
        ("merges.txt", "#version: 0.2\n", "two tokens"),
        ("merges.txt", "a b c\n", "two tokens"),
    ],
)
def test_words_that_are_not_clips_are_refused(
    old: Path, words: Path, tmp_path: Path, name: str, content: str, says: str
):
    folder = shutil.copytree(words, tmp_path / "words")
    (folder / name).write_text(content)
    with pytest.raises(BadWeights) as caught:
        convert(old, tmp_path / "new", tokenizer=folder)
    assert says in str(caught.value) and not (tmp_path / "new").exists()


def test_words_of_another_model_are_refused(old: Path, words: Path, tmp_path: Path):
    folder = shutil.copytree(words, tmp_path / "words")
    tokens = json.loads((folder / "vocab.json").read_text())
    tokens["one more</w>"], tokens["<|endoftext|>"] = tokens["<|endoftext|>"], len(tokens)
    (folder / "vocab.json").write_text(json.dumps(tokens))
    with pytest.raises(BadWeights, match="ends with token 694, but the text encoder with 693"):
        convert(old, tmp_path / "new", tokenizer=folder)
    assert not (tmp_path / "new").exists()


def test_without_a_tokenizer_it_is_said_where_it_is_from(old: Path, tmp_path: Path):
    with pytest.raises(ModelNotFound, match="openai/clip-vit-large-patch14"):
        convert(old, tmp_path / "new", tokenizer=tmp_path)
