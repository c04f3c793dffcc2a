"""A model folder is understood from its files, and refused with what is wrong in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openvino as ov
import pytest

import tiny_diffusion
from heliochrome.core.errors import BadWeights, ModelNotFound
from heliochrome.core.extent import Extent
from heliochrome.diffusion import GenerationRequest, open_engine, read_model

ALL = ("text-to-image", "image-to-image", "inpaint")


def edit(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def second_text_encoder(folder: Path) -> None:
    """As in Stable Diffusion XL's folders."""
    for part in ("text_encoder", "tokenizer"):
        shutil.copytree(folder / part, folder / f"{part}_2")
    edit(folder / "model_index.json", _class_name="StableDiffusionXLPipeline")
    edit(folder / "unet" / "config.json", block_out_channels=[8, 8, 8], sample_size=128)


def fixed_shapes(folder: Path, batch: int = 2) -> None:
    """As in converted models of stable_diffusion.openvino: one size, one batch."""
    path = folder / "unet" / "openvino_model.xml"
    unet = ov.Core().read_model(path)
    shapes = {"sample": [batch, 4, 8, 8], "timestep": [1], "encoder_hidden_states": [batch, 77, 16]}
    unet.reshape(shapes)
    ov.save_model(unet, folder / "fixed.xml", compress_to_fp16=False)
    del unet
    for suffix in (".xml", ".bin"):
        (folder / "fixed").with_suffix(suffix).replace(path.with_suffix(suffix))


@pytest.mark.parametrize(
    ("kind", "encoder", "found"),
    [
        ("sd1", True, {"modes": ALL, "default_steps": 50, "default_guidance": 7.5}),
        ("sd1", False, {"modes": ("text-to-image",), "linear_preview": True}),
        ("lcm", True, {"modes": ALL, "lcm": True, "default_steps": 4, "scheduler": "lcm"}),
        ("inpaint", True, {"modes": ("inpaint",), "lcm": False, "scheduler": "pndm"}),
    ],
)
def test_kinds_are_told_apart(
    kind: Any, encoder: bool, found: dict[str, Any], tmp_path: Path
) -> None:
    folder = tiny_diffusion.build(tmp_path / "any name", kind=kind, vae_encoder=encoder)
    model = read_model(folder)
    assert {name: getattr(model, name) for name in found} == found
    assert (model.name, model.size_step, model.max_tokens) == ("any name", 64, 77)
    assert (model.native, model.fixed) == (Extent(64, 64), None)
    assert (model.needs_guidance, model.without_guidance) == (False, False)


def test_sdxl_reads_two_prompts_and_has_smaller_steps(tmp_path: Path) -> None:
    folder = tiny_diffusion.build(tmp_path / "m")
    second_text_encoder(folder)
    edit(folder / "text_encoder_2" / "config.json", max_position_embeddings=70)
    model = read_model(folder)
    assert model.tokenizers == (folder / "tokenizer", folder / "tokenizer_2")
    assert (model.size_step, model.native) == (32, Extent(1024, 1024))
    assert (model.max_tokens, model.default_guidance, model.linear_preview) == (70, 5.0, False)


@pytest.mark.parametrize("batch", [1, 2])
def test_fixed_shapes_are_seen(batch: int, tmp_path: Path) -> None:
    folder = tiny_diffusion.build(tmp_path / "m")
    edit(folder / "unet" / "config.json", sample_size=64)
    fixed_shapes(folder, batch)
    model = read_model(folder)
    assert (model.native, model.fixed) == (Extent(64, 64), Extent(64, 64))
    assert (model.needs_guidance, model.without_guidance) == (batch == 2, batch == 1)
    assert model.default_guidance == (7.5 if batch == 2 else 1.0)


def test_without_a_word_on_levels_sizes_are_those_of_stable_diffusion(tmp_path: Path) -> None:
    folder = tiny_diffusion.build(tmp_path / "m")
    edit(folder / "unet" / "config.json", block_out_channels=None)
    assert read_model(folder).size_step == 64


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def write(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text) and None


def changed(name: str, **fields: Any) -> Callable[[Path], None]:
    return lambda folder: edit(folder / name, **fields)


BROKEN = {
    "no index": (remove("model_index.json"), ModelNotFound, "model_index.json"),
    "index is no JSON": (write("model_index.json", "{"), BadWeights, "model_index.json"),
    "index is a list": (write("model_index.json", "[]"), BadWeights, "JSON object"),
    "index nests deeply": (write("model_index.json", "[" * 100_000), BadWeights, "cannot be read"),
    "another pipeline": (
        changed("model_index.json", _class_name="FluxPipeline"),
        BadWeights,
        "FluxPipeline",
    ),
    "no weights": (remove("unet/openvino_model.bin"), BadWeights, "unet/openvino_model.bin"),
    "no tokenizer": (remove("tokenizer/openvino_tokenizer.xml"), BadWeights, "openvino_tokenizer"),
    "no text encoder": (
        remove("text_encoder/openvino_model.xml"),
        BadWeights,
        "text_encoder/openvino_model.xml",
    ),
    "model is no XML": (write("unet/openvino_model.xml", "x"), BadWeights, "not a readable"),
    "model is empty": (write("unet/openvino_model.xml", ""), BadWeights, "not a readable"),
    "model is another": (write("unet/openvino_model.xml", "<net/>"), BadWeights, "'sample'"),
    "model is a bomb": (
        write("unet/openvino_model.xml", '<!DOCTYPE x [<!ENTITY a "aaaa">]><net>&a;</net>'),
        BadWeights,
        "not a readable",
    ),
    "VAE without levels": (
        changed("vae_decoder/config.json", block_out_channels=[]),
        BadWeights,
        "block_out_channels",
    ),
    **{
        f"{name} is {value!r}": (changed(f"{part}/config.json", **{name: value}), BadWeights, name)
        for part, name, value in (
            ("unet", "sample_size", [64, 64]),
            ("unet", "sample_size", 10**400),
            ("unet", "in_channels", "4"),
            ("unet", "block_out_channels", 4),
            ("unet", "block_out_channels", [8] * 64),
            ("unet", "time_cond_proj_dim", float("nan")),
            ("vae_decoder", "latent_channels", True),
            ("text_encoder", "max_position_embeddings", -77),
        )
    },
    "inpainting without an encoder": (
        lambda folder: (
            edit(folder / "unet" / "config.json", in_channels=9),
            shutil.rmtree(folder / "vae_encoder"),
        ),
        BadWeights,
        "vae_encoder",
    ),
    "no scheduler": (remove("scheduler/scheduler_config.json"), BadWeights, "scheduler"),
}


@pytest.mark.parametrize(("breaking", "error", "says"), BROKEN.values(), ids=BROKEN)
def test_a_broken_folder_is_refused(
    breaking: Callable[[Path], None], error: type[Exception], says: str, tmp_path: Path
) -> None:
    folder = tiny_diffusion.build(tmp_path / "m")
    read_model(folder)
    breaking(folder)
    with pytest.raises(error, match=says):
        read_model(folder)


def test_no_folder_and_folders_of_other_kinds(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="there is no model folder"):
        read_model(tmp_path / "none")
    (tmp_path / "unet.xml").touch()
    with pytest.raises(BadWeights, match="heliochrome sd convert"):
        read_model(tmp_path)
    folder = tiny_diffusion.build(tmp_path / "m")
    (folder / "unet" / "openvino_model.xml").unlink()
    (folder / "unet" / "diffusion_pytorch_model.safetensors").touch()
    with pytest.raises(BadWeights, match="optimum-cli export openvino"):
        read_model(folder)


def test_a_path_that_would_mislead_the_runtime(tmp_path: Path) -> None:
    folder = tiny_diffusion.build(tmp_path / "my text_encoder")
    with pytest.raises(BadWeights, match="rename the folder"):
        read_model(folder)


@pytest.mark.parametrize("part", ["unet", "vae_decoder", "text_encoder", "vae_encoder"])
def test_damaged_weights_are_refused_when_opened(part: str, tmp_path: Path) -> None:
    folder = tiny_diffusion.build(tmp_path / "m")
    weights = folder / part / "openvino_model.bin"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(BadWeights, match="cannot be opened by OpenVINO"):
        open_engine(folder)


@pytest.mark.parametrize("levels", [3, 5])
def test_a_vae_that_enlarges_otherwise_than_its_file_says(levels: int, tmp_path: Path) -> None:
    folder = tiny_diffusion.build(tmp_path / "m")
    edit(folder / "vae_decoder" / "config.json", block_out_channels=[8] * levels)
    engine = open_engine(folder)
    request = GenerationRequest(prompt="", num_inference_steps=1, seed=1)
    for _ in range(2):
        with pytest.raises(BadWeights, match="block_out_channels"):
            engine.generate(request)
    engine.close()
