"""`heliochrome sd` as a user runs it, on the tiny pipeline."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tiny_diffusion
import tiny_legacy
from heliochrome.cli import main
from heliochrome.core.photo import read_photo, result_record
from heliochrome.core.provenance import to_xmp
from model_server import running_server
from photo_samples import ADOBE_RGB, PROPHOTO, PROVENANCE, rgb_profile


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_diffusion.build(folder / "tiny")
    return folder


@pytest.fixture
def here(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder; one model is in the store."""
    monkeypatch.setenv("HELIOCHROME_MODELS", str(models))
    monkeypatch.setenv("HELIOCHROME_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HELIOCHROME_OFFLINE", "1")
    return tmp_path


@pytest.fixture
def photo(here: Path) -> Path:
    """A large grey scan with EXIF, 16 bits deep."""
    across = np.linspace(6000, 60000, 300).astype(np.uint16)
    Image.fromarray(np.tile(across, (200, 1))).save(here / "scan.tif", compression="tiff_lzw")
    return here / "scan.tif"


@pytest.fixture
def mask(here: Path) -> Path:
    torn = np.zeros((200, 300), np.uint8)
    torn[20:40, 30:60] = torn[150:170, 250:270] = 255
    Image.fromarray(torn).save(here / "mask.png")
    return here / "mask.png"


def generate(*words: object) -> int:
    return main(["sd", "generate", *map(str, words), "--num-inference-steps", "3"])


def test_a_picture_tells_its_model_seed_and_words(
    here: Path, models: Path, capsys: pytest.CaptureFixture[str]
):
    assert generate("a red house", "-o", here / "new/a.png", "--seed", 7) == 0
    assert capsys.readouterr().out == f"{here}/new/a.png (seed 7)\n"
    record = result_record(here / "new/a.png")
    assert record is not None and record.kind == "generation" and record.model == "tiny"
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(models / 'tiny')}\n"
        for path in sorted((models / "tiny").rglob("*"))
        if path.is_file()
    ]
    lines.sort(key=lambda line: line[66:])
    assert record.model_sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert record.parameters["prompt"] == "a red house" and record.parameters["seed"] == 7
    assert record.parameters["num_inference_steps"] == 3
    assert read_photo(here / "new/a.png").pixels.std() > 5


def test_a_drawn_seed_makes_the_picture_again(here: Path, capsys: pytest.CaptureFixture[str]):
    assert generate("a house", "-o", here / "a.png", "--no-record-prompt") == 0
    seed = capsys.readouterr().out.rsplit(" ", 1)[1].rstrip(")\n")
    assert generate("a house", "-o", here / "b.png", "--seed", seed) == 0
    first, second = (read_photo(here / name).pixels for name in ("a.png", "b.png"))
    assert np.array_equal(first, second)
    assert generate("a house", "-o", here / "c.png", "--seed", int(seed) ^ 1) == 0
    assert not np.array_equal(first, read_photo(here / "c.png").pixels)
    record = result_record(here / "a.png")
    assert record is not None and "prompt" not in record.parameters


def test_several_pictures_each_with_its_seed(here: Path, capsys: pytest.CaptureFixture[str]):
    more = ("--num-images-per-prompt", 2, "--seed", 4)
    assert generate("a house", "-o", here / "a.jpg", *more) == 0
    assert capsys.readouterr().out == f"{here}/a-1.jpg (seed 4)\n{here}/a-2.jpg (seed 5)\n"
    assert generate("a house", "-o", here / "b.jpg", "--seed", 5) == 0
    pair = [read_photo(here / name).pixels for name in ("a-2.jpg", "b.jpg")]
    assert np.array_equal(*pair)
    (here / "a-1.jpg").unlink()
    assert generate("a house", "-o", here / "a.jpg", *more) == 2  # a-2.jpg is there
    assert not (here / "a-1.jpg").exists() and "a-2.jpg" in capsys.readouterr().err


def test_a_picture_from_a_picture_remembers_it(here: Path, photo: Path):
    arguments = ("--image", photo, "--width", 64, "--height", 128, "--strength", 0.7)
    assert generate("a street", "-o", here / "a.webp", *arguments) == 0
    record = result_record(here / "a.webp")
    assert record is not None and record.kind == "variation"
    assert record.parameters["source_sha256"] == hashlib.sha256(photo.read_bytes()).hexdigest()
    assert read_photo(here / "a.webp").pixels.shape == (128, 64, 3)
    assert generate("a sea", "-o", here / "b.png", "--image", here / "a.webp") == 0
    again = result_record(here / "b.png")
    assert again is not None and [step.kind for step in again.earlier] == ["variation"]


@pytest.mark.parametrize("repair", [False, True])
def test_what_another_tool_made_up_is_still_called_so(here: Path, mask: Path, repair: bool):
    other = to_xmp(PROVENANCE, None).replace(b"urn:heliochrome:provenance", b"urn:another:tool")
    code = b"digitalsourcetype/trainedAlgorithmicMedia<"
    other = other.replace(b"digitalsourcetype/compositeWithTrainedAlgorithmicMedia<", code)
    assert code in other
    Image.new("RGB", (300, 200), "teal").save(here / "other.webp", xmp=other)
    more = ("--mask", mask) if repair else ()
    assert generate("a house", "-o", here / "a.png", "--image", here / "other.webp", *more) == 0
    packet = read_photo(here / "a.png").metadata.xmp or b""
    told = re.findall(rb"<Iptc4xmpExt:DigitalSourceType>[^<]*/(\w+)<", packet)
    assert told == [b"trainedAlgorithmicMedia"]
    record = result_record(here / "a.png")
    assert record is not None and record.kind == ("inpainting" if repair else "variation")


def test_only_what_is_white_in_the_mask_is_repainted(
    here: Path, photo: Path, mask: Path, capsys: pytest.CaptureFixture[str]
):
    assert generate("whole", "-o", here / "a.tif", "--image", photo, "--mask", mask) == 0
    before, after = read_photo(photo), read_photo(here / "a.tif")
    assert after.bit_depth == 16 and after.pixels.shape == before.pixels.shape
    changed = (before.pixels != after.pixels).any(axis=-1)
    torn = read_photo(mask).pixels[..., 0] > 0
    assert not changed[~torn].any() and changed[torn].mean() > 0.5
    record = result_record(here / "a.tif")
    assert record is not None and record.kind == "inpainting"
    seed = capsys.readouterr().out.splitlines()[0].rsplit(" ", 1)[1].rstrip(")")
    arguments = ("--image", photo, "--mask", mask, "--seed", seed)
    assert generate("whole", "-o", here / "b.tif", *arguments) == 0
    assert np.array_equal(after.pixels, read_photo(here / "b.tif").pixels)


def test_what_of_a_photograph_could_not_be_kept_is_told(
    here: Path, mask: Path, capsys: pytest.CaptureFixture[str]
):
    Image.new("CMYK", (300, 200), (9, 99, 40, 10)).save(here / "inks.tif")
    arguments = ("--image", here / "inks.tif", "--mask", mask)
    assert generate("whole", "-o", here / "a.tif", *arguments) == 0
    assert "note: The photograph was in printing inks (CMYK)" in capsys.readouterr().out


def test_a_lora_is_in_the_record_of_what_it_changed(here: Path, photo: Path, mask: Path):
    file = tiny_diffusion.lora(here / "style.safetensors", gain=0.3)
    lora = ("--lora", file, "--lora-alpha", 0.25, "--seed", 1)
    assert generate("a house", "-o", here / "a.png", *lora) == 0
    assert generate("a house", "-o", here / "b.tif", "--image", photo, "--mask", mask, *lora) == 0
    assert generate("a house", "-o", here / "c.png", "--seed", 1) == 0
    wanted = {
        "lora": "style.safetensors",
        "lora_alpha": 0.25,
        "lora_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }
    for name, told in (("a.png", wanted), ("b.tif", wanted), ("c.png", {})):
        record = result_record(here / name)
        assert record is not None
        parameters = record.parameters.items()
        assert {key: value for key, value in parameters if key.startswith("lora")} == told


@pytest.mark.parametrize(
    ("primaries", "gamma"), [(ADOBE_RGB, 563 / 256), (PROPHOTO, 1.8)], ids=["adobe", "prophoto"]
)
@pytest.mark.parametrize("alpha", [False, True])
def test_colours_that_srgb_does_not_have_stay_outside_the_mask(
    here: Path, mask: Path, primaries: tuple, gamma: float, alpha: bool
):
    y, x = np.mgrid[:200, :300]
    vivid = np.stack([x * 255 // 300, 255 - y, (x + y) // 2, x % 256], -1).astype(np.uint8)
    picture = Image.fromarray(vivid[..., : 4 if alpha else 3])
    profile = rgb_profile(primaries, gamma)
    picture.save(here / "wide.png", icc_profile=profile)
    arguments = ("--image", here / "wide.png", "--mask", mask, "--seed", 1)
    assert generate("whole", "-o", here / "a.png", *arguments) == 0
    with Image.open(here / "a.png") as after:
        assert after.info["icc_profile"] == profile
        changed = (np.asarray(after) != np.asarray(picture)).any(axis=-1)
    torn = read_photo(mask).pixels[..., 0] > 0
    assert not changed[~torn].any() and changed[torn].mean() > 0.5


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--mask", "{mask}"], "add --image"),
        (["--strength", "0.5"], "add --image"),
        (["--image", "{photo}", "--mask", "{mask}", "--width", "64"], "leave width"),
        (
            ["--image", "{photo}", "--mask", "{mask}", "--num-images-per-prompt", "2"],
            "repaired once",
        ),
        (["--image", "{photo}", "--mask", "{black}"], "nothing is white"),
        (["--image", "{photo}", "--mask", "{small}"], "shape"),
        (["--image", "{here}/none.png"], "none.png"),
        (["--image", "{mask}", "--strength", "0"], "strength must be more than 0"),
        (["--seed", "-1"], "seed must be a whole number from 0"),
        (["--width", "65"], "64"),
        (["--guidance-scale", "nan"], "guidance_scale must be a number"),
        (["--scheduler", "lms"], "lms"),
        (["--device", "TPU"], "CPU"),
        (["--model", "another"], "neither a folder nor a diffusion model"),
        (["--model", "https://127.0.0.1/tiny"], "HELIOCHROME_OFFLINE"),
        (["--lora", "{here}/none.safetensors"], "no LoRA file"),
        (["--lora", "{mask}"], "no .safetensors file"),
        (["--lora-alpha", "nan"], "add --lora"),
        (["--lora-alpha", "1"], "add --lora"),
        (["--lora-alpha", "9", "--lora", "{mask}"], "alpha of a LoRA"),
        (["-o", "{here}/a.gif"], "ends in one of"),
        (["-o", "~nosuchuser/a.png"], "no home folder"),
        (["--image", "~nosuchuser/a.png"], "no home folder"),
        (["--lora", "~nosuchuser/a.safetensors"], "no home folder"),
        (["-o", "{photo}"], "already there"),
        (["-o", "{here}/mask.png/a.png"], "mask.png"),
    ],
)
def test_what_cannot_be_done_is_told_and_no_file_is_made(
    here: Path,
    photo: Path,
    mask: Path,
    arguments: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
):
    Image.new("L", (300, 200)).save(here / "black.png")
    Image.new("L", (30, 20), 255).save(here / "small.png")
    places = {
        "here": here,
        "photo": photo,
        "mask": mask,
        "black": here / "black.png",
        "small": here / "small.png",
    }
    before = {path: path.read_bytes() for path in here.iterdir() if path.is_file()}
    words = [argument.format(**places) for argument in arguments]
    output = [] if "-o" in words else ["-o", str(here / "a.png")]
    assert generate("a house", *output, *words) == 2
    told = capsys.readouterr()
    assert says in told.err and told.out == "" and "Traceback" not in told.err
    assert {path: path.read_bytes() for path in here.iterdir() if path.is_file()} == before


def test_without_a_choice_the_models_are_named(
    here: Path, models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("HELIOCHROME_MODELS", str(here / "store"))
    assert generate("a house", "-o", here / "a.png") == 2
    assert "heliochrome sd get" in capsys.readouterr().err
    for name in ("one", "two"):
        shutil.copytree(models / "tiny", here / "store" / name)
    assert generate("a house", "-o", here / "a.png") == 2
    assert "--model with one or two" in capsys.readouterr().err
    assert generate("a house", "-o", here / "a.png", "--model", "two") == 0


def test_the_list_tells_good_and_damaged_models(
    here: Path, models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    store = here / "store"
    monkeypatch.setenv("HELIOCHROME_MODELS", str(store))
    assert main(["sd", "list"]) == 0 and "No diffusion model" in capsys.readouterr().err
    shutil.copytree(models / "tiny", store / "good")
    tiny_diffusion.build(store / "text", vae_encoder=False)
    shutil.copytree(models / "tiny", store / "damaged")
    (store / "damaged/unet/openvino_model.bin").unlink()
    assert main(["sd", "list", "--json"]) == 0
    found = {model["name"]: model for model in json.loads(capsys.readouterr().out)}
    assert set(found) == {"good", "text", "damaged"}
    assert found["good"]["pixels"] == "64x64" and "inpaint" in found["good"]["modes"]
    assert found["text"]["modes"] == ["text-to-image"]
    assert found["good"]["bytes"] > found["text"]["bytes"] > 100_000
    assert "unet/openvino_model.bin" in found["damaged"]["damaged"]
    assert main(["sd", "list"]) == 0
    told = capsys.readouterr()
    assert "good  StableDiffusionPipeline  64x64" in told.out and "damaged:" in told.err


def test_get_convert_compress_and_use(
    here: Path, models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("HELIOCHROME_MODELS", str(here / "store"))
    monkeypatch.delenv("HELIOCHROME_OFFLINE")
    with running_server() as server:
        for path in (models / "tiny").rglob("*"):
            if path.is_file():
                name = path.relative_to(models / "tiny").as_posix()
                server.serve(f"files/brought/{name}", path.read_bytes())
        assert main(["sd", "get", f"{server.address}/files/brought"]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"brought: {here}/store/brought\nbrought: SHA-256 of its manifest ")

    old = tiny_legacy.build(here / "old")
    convert = ["sd", "convert", str(old), str(here / "store/made")]
    words = ["--tokenizer", str(tiny_diffusion.TOKENIZER)]
    assert main([*convert, *words]) == 0
    told = capsys.readouterr().out
    assert f"{here}/store/made\n" in told and "always 64x64" in told and "unet: largest" in told
    assert main([*convert, *words]) == 2 and "already there" in capsys.readouterr().err

    assert main(["sd", "compress", "made", str(here / "store/small")]) == 0
    told = capsys.readouterr().out
    assert f"{here}/store/small\n" in told and "mean difference of the UNet's output" in told
    for name in ("brought", "made", "small"):
        assert generate("a house", "-o", here / f"{name}.png", "--model", name, "--seed", 1) == 0
    pictures = [read_photo(here / f"{name}.png").pixels for name in ("brought", "made", "small")]
    gaps = [np.abs(np.subtract(pictures[0], other, dtype=np.int16)) for other in pictures[1:]]
    assert gaps[0].max() <= 1 and 0 < gaps[1].mean() < 10


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")
def test_ctrl_c_stops_between_two_steps_and_leaves_no_file(here: Path):
    command = [sys.executable, "-m", "heliochrome", "sd", "generate", "a house"]
    command += ["-o", str(here / "a.png"), "--num-inference-steps", "250"]
    command += ["--num-images-per-prompt", "16", "--width", "1024", "--height", "1024"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(4)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None and "stopped" in process.stderr.read()
        assert process.wait() == 130
    assert not list(here.glob("*.png"))


def test_ctrl_c_is_answered_while_the_model_opens(here: Path):
    script = (
        "import sys, time; from heliochrome.cli import main\n"
        "from heliochrome.diffusion import engine\n"
        "real = engine.open_pipelines\n"
        "def slow(opening):\n"
        "    print('opening', flush=True); time.sleep(4)\n"
        "    return real(opening)\n"
        "engine.open_pipelines = slow\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", script, "sd", "generate", "a house", "-o", str(here / "a.png")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "opening\n"
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert any("stopped" in line for line in process.stderr)
        assert time.monotonic() - begun < 3
        assert process.wait() == 130
    assert not list(here.glob("*.png"))
