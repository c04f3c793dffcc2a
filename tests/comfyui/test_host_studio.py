"""The studio with a real ComfyUI as its engine: also when that is killed in the midst of a job."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from running_host import RunningHost

sys.path.append(str(Path(__file__).parents[1] / "studio"))

from running_studio import running_studio

import micro
from heliochrome.core.lab import lightness
from heliochrome.core.photo import read_photo, result_record

pytestmark = pytest.mark.comfyui


def test_a_photograph_is_coloured_by_comfyui_and_keeps_what_its_file_said(
    host: RunningHost, photo: Path, tmp_path: Path
):
    with running_studio(tmp_path, comfyui=host.url) as studio:
        me = studio.ask("ben", "GET", "/api/v1/me").json
        assert me["engine"] == "comfyui" and me["model"]["available"] is None
        values = np.linspace(0, 65535, 96 * 64).astype(np.uint16).reshape(64, 96)
        Image.fromarray(values).save(tmp_path / "scan.tif")
        picture = Image.open(photo)
        exif = Image.Exif()
        exif[0x010E] = "Grandmother"
        picture.save(tmp_path / "a.jpg", exif=exif)
        ids = [
            studio.bring("ben", (tmp_path / name).read_bytes(), name)
            for name in ("a.jpg", "scan.tif")
        ]
        job = studio.wait("ben", studio.job("ben", ids, "auto")["id"])
        assert job["state"] == "done", job
        first = job["photos"][0]["result"]
        assert first["model"] == "ddcolor_v2" and first["network_extent"]
        assert any(notice["code"].startswith("preset-chosen") for notice in first["notices"])
        for brought, name in zip(ids, ("b.jpg", "scan.colour.tif"), strict=True):
            answer = studio.ask("ben", "GET", f"/api/v1/photos/{brought}/result")
            (tmp_path / name).write_bytes(answer.body)
        with Image.open(tmp_path / "b.jpg") as after:
            assert after.getexif()[0x010E] == "Grandmother"
        record = result_record(tmp_path / "b.jpg")
        assert record is not None and record.kind == "colorization"
        scan = read_photo(tmp_path / "scan.colour.tif")
        assert scan.pixels.dtype == np.uint16
        grey = np.repeat(values[..., None], 3, axis=-1)
        assert np.abs(lightness(scan.pixels) - lightness(grey)).max() < 0.01
        # Nothing of the user's among ComfyUI's own pictures.
        assert not list((host.base / "output").rglob("heliochrome-studio*"))
        assert not list((host.base / "input").rglob("heliochrome-studio*"))


def test_a_preview_is_one_there_too(host: RunningHost, photo: Path, tmp_path: Path):
    with running_studio(tmp_path, comfyui=host.url) as studio:
        brought = studio.bring("ben", photo.read_bytes())
        preview = studio.job("ben", [brought], "portrait", preview=True)
        result = studio.wait("ben", preview["id"])["photos"][0]["result"]
        assert result["kind"] == "preview" and result["name"].endswith(".preview.png")


def test_both_presets_pass_the_self_test_there(host: RunningHost):
    done = subprocess.run(
        [sys.executable, "-m", "heliochrome", "self-test", "--comfyui", host.url],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": good. ") == 2


def test_a_killed_comfyui_is_waited_for_and_the_job_goes_on(tmp_path: Path, host: RunningHost):
    base = tmp_path / "own"
    micro.save(base / "models" / "ddcolor" / "ddcolor_v2.safetensors")
    file = io.BytesIO()
    rows = np.random.default_rng(3).integers(0, 255, (120, 150), np.uint8)
    Image.fromarray(rows).resize((3000, 2400)).save(file, "jpeg", quality=95)
    own = RunningHost(host.folder, base)
    with own, running_studio(tmp_path, comfyui=own.url) as studio:
        ids = [studio.bring("ben", file.getvalue()) for _ in range(2)]
        job = studio.job("ben", ids, "portrait")["id"]
        studio.wait("ben", job, until=("running",))
        os.kill(own._process.pid, signal.SIGKILL)
        own._process.wait()
        studio.wait_until(lambda: bool(studio.ask("ben", "GET", "/api/v1/me").json["waiting"]))
        assert own.url in studio.ask("ben", "GET", "/api/v1/me").json["waiting"]
        with own:
            done = studio.wait("ben", job)
            assert done["counts"] == {"done": 2}
            assert studio.ask("ben", "GET", "/api/v1/me").json["waiting"] == ""
