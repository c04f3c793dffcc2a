"""The command as users run it: real processes on real files."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from heliochrome.cli import main
from heliochrome.core.lab import lightness
from heliochrome.core.photo import read_photo
from heliochrome.core.preview import PREVIEW_LABEL
from heliochrome.core.provenance import from_xmp
from heliochrome.core.sample import draw_sample

COMMAND = (sys.executable, "-m", "heliochrome", "colorize")


def album(folder: Path) -> dict[str, str]:
    """Photographs with awkward names, in subfolders; {relative name: sha256 of the file}."""
    sample = Image.fromarray(draw_sample())
    (folder / "family/1912").mkdir(parents=True)
    (folder / "家庭").mkdir()
    sample.save(folder / "house.jpg", quality=90)
    sample.crop((0, 0, 301, 222)).convert("L").save(folder / "family/1912/no 7 (grey).png")
    sample.resize((160, 120)).save(folder / "家庭/祖父.tif")
    sample.resize((64, 400)).save(folder / "family/TALL.WEBP", lossless=True)
    sample.resize((90, 70)).save(folder / "old.bmp")
    (folder / "notes.txt").write_text("not a photograph")
    (folder / "family/.hidden.jpg").write_bytes(b"x")
    return digests(folder)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)


@pytest.mark.usefixtures("with_model")
def test_a_folder_keeps_its_names_and_its_originals(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    before = album(source)
    done = run(source, "-o", out, "--size", 256, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["counts"] == {"done": 5, "skipped": 0, "failed": 0}
    assert digests(source) == before
    assert sorted(digests(out)) == [
        "family/1912/no 7 (grey).png",
        "family/TALL.WEBP",
        "house.jpg",
        "old.png",
        "家庭/祖父.tif",
    ]
    for name in ("house.jpg", "家庭/祖父.tif"):
        original, coloured = read_photo(source / name), read_photo(out / name)
        assert coloured.pixels.shape == original.pixels.shape
        assert np.ptp(coloured.pixels.astype(int), axis=2).mean() > 3  # there is colour
        drift = np.abs(lightness(coloured.pixels) - lightness(original.pixels))
        assert drift.mean() < (0.3 if name.endswith(".tif") else 1.5)  # JPEG adds its own
        record = from_xmp(coloured.metadata.xmp or b"")
        assert record is not None
        assert (record.kind, record.model) == ("colorization", "ddcolor_v2")
        assert record.parameters["size"] == 256 and record.parameters["preset"] == "portrait"

    again = run(source, "-o", out, "--size", 256, "--json")
    assert json.loads(again.stdout)["counts"] == {"done": 0, "skipped": 5, "failed": 0}


@pytest.mark.usefixtures("with_model")
def test_settings_reach_the_result(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(draw_sample()).resize((240, 180)).save(photo)
    coloured = tmp_path / "coloured.png"
    sky = np.zeros((60, 80, 3), np.uint8)
    sky[:30], sky[30:] = (120, 160, 230), (60, 120, 40)
    Image.fromarray(sky).save(coloured)
    strokes = tmp_path / "strokes.png"
    layer = np.zeros((180, 240, 4), np.uint8)
    layer[80:100, 100:140] = (220, 30, 30, 255)
    Image.fromarray(layer).save(strokes)
    variants = {
        "portrait": [],
        "building": ["--preset", "building"],
        "strength": ["--strength", "0.4"],
        "saturation": ["--saturation", "0.4"],
        "guide": ["--chroma-guide", "nearest"],
        "reference": ["--reference-mode"],
        "size": ["--size", "320"],
        "chroma limit": ["--chroma-limit", "5"],
        "ensemble": ["--size", "512", "--ensemble", "3"],
        "reference picture": ["--reference", str(coloured), "--reference-amount", "1"],
        "hints": ["--hints", str(strokes)],
    }
    images = {}
    for name, options in variants.items():
        out = tmp_path / name
        assert main(["colorize", str(photo), "-o", str(out), *options]) == 0
        images[name] = (out / photo.name).read_bytes()
        record = from_xmp(read_photo(out / photo.name).metadata.xmp or b"")
        assert record is not None
        if name == "reference":
            assert record.parameters["reference_mode"] is True
    pixels = {name: read_photo(tmp_path / name / photo.name).pixels for name in variants}
    assert len({image.tobytes() for image in pixels.values()}) == len(variants)


@pytest.mark.usefixtures("without_model")
def test_no_model_names_it_and_the_command_and_makes_nothing(tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    Image.fromarray(draw_sample()).save(photo)
    refused = run(photo, "-o", tmp_path / "out")
    assert refused.returncode == 2
    assert "ddcolor_v2" in refused.stderr and "heliochrome models get ddcolor_v2" in refused.stderr
    assert "--preview" in refused.stderr and refused.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("without_model")
def test_a_preview_says_so_everywhere(tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    Image.fromarray(draw_sample()).save(photo)
    made = run(photo, "-o", tmp_path / "out", "--preview")
    assert made.returncode == 0
    assert PREVIEW_LABEL in made.stderr and PREVIEW_LABEL in made.stdout
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["photo.preview.jpg"]
    result = read_photo(tmp_path / "out/photo.preview.jpg")
    record = from_xmp(result.metadata.xmp or b"")
    assert record is not None and record.kind == "preview" and record.model is None
    assert any(PREVIEW_LABEL in notice for notice in record.notices)


@pytest.mark.usefixtures("with_model")
def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    sample = draw_sample()
    for i in range(30):
        Image.fromarray(np.roll(sample, 20 * i, axis=1)).save(source / f"{i:02}.png")
    process = subprocess.Popen([*COMMAND, str(source), "-o", str(out)], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list(out.glob("[0-9]*.png"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    finished = digests(out)
    whole = {name for name in finished if not name.startswith(".")}
    assert 3 <= len(whole) < 30
    for name in whole:
        read_photo(out / name)  # every file that has its name is whole
    after = run(source, "-o", out, "--json")
    counts = json.loads(after.stdout)["counts"]
    assert counts == {"done": 30 - len(whole), "skipped": len(whole), "failed": 0}
    assert {name: finished[name] for name in whole}.items() <= digests(out).items()


@pytest.mark.usefixtures("with_model")
def test_ctrl_c_ends_it_at_once_with_no_half_file(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for i in range(40):
        Image.fromarray(draw_sample()).save(source / f"{i:02}.png")
    process = subprocess.Popen(
        [*COMMAND, str(source), "-o", str(out)], stderr=subprocess.PIPE, text=True
    )
    while not list(out.glob("[0-9]*.png")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in complaint
    assert all(not path.name.startswith(".") for path in out.iterdir())


@pytest.mark.usefixtures("with_model")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")
def test_a_full_disk_leaves_no_half_file(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    source = tmp_path / "in"
    source.mkdir()
    noise = np.random.default_rng(2).integers(0, 256, (700, 900, 3), np.uint8)
    Image.fromarray(noise).save(source / "a.png")
    Image.fromarray(draw_sample()[:40, :40]).save(source / "b.png")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(small)])
    if mounted.returncode:
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        done = run(source, "-o", small / "out", "--size", 256, "--json")
        report = json.loads(done.stdout)
        assert done.returncode == 1
        assert [photo["status"] for photo in report["photos"]] == ["failed", "done"]
        assert "No space left" in report["photos"][0]["text"]
        assert [path.name for path in (small / "out").iterdir()] == ["b.png"]
    finally:
        subprocess.run(["umount", str(small)], check=True)


@pytest.mark.usefixtures("with_model")
def test_onnx_runtime_through_the_command_line(tmp_path: Path, model_folder: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(draw_sample()).resize((200, 150)).save(photo)
    target = model_folder / "ddcolor_v2.onnx"
    assert main(["export", "ddcolor_v2", "--overwrite"]) == 0
    assert target.is_file()
    for backend in ("torch", "onnxruntime"):
        out = tmp_path / backend
        command = ["colorize", str(photo), "-o", str(out), "--backend", backend]
        assert main([*command, "--size", "256"]) == 0
    a, b = (read_photo(tmp_path / name / photo.name).pixels for name in ("torch", "onnxruntime"))
    assert np.abs(a.astype(int) - b.astype(int)).max() <= 1
    target.unlink()


@pytest.mark.usefixtures("with_model")
def test_doctor_says_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    topics = {line["topic"]: line for line in json.loads(capsys.readouterr().out)}
    assert topics["backend torch"]["state"] == "ok"
    assert topics["model ddcolor_v2"]["state"] == "ok"
    assert topics["model ddcolor_v1"]["advice"] == "heliochrome models get ddcolor_v1"


@pytest.mark.usefixtures("without_model")
def test_doctor_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 1
    assert "heliochrome models get ddcolor_v2" in capsys.readouterr().out
