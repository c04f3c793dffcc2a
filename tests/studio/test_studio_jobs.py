"""A photograph through the studio: brought, coloured, fetched; and whose it is."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from running_studio import RunningStudio, running_studio

from heliochrome.core.lab import lightness
from heliochrome.core.photo import read_photo, result_record
from heliochrome.core.provenance import SOURCE_SHA256


def test_a_photograph_is_brought_coloured_and_fetched(
    studio: RunningStudio, photo: bytes, tmp_path: Path
):
    taken = studio.ask("ben", "POST", "/api/v1/photos?name=grand%20ma.jpg", photo)
    assert taken.status == 201
    assert (taken.json["name"], taken.json["width"], taken.json["height"]) == (
        "grand ma.jpg", 301, 200,
    )  # fmt: skip
    assert taken.json["sha256"] == hashlib.sha256(photo).hexdigest()
    job = studio.job("ben", [taken.json["id"]], "auto")
    done = studio.wait("ben", job["id"])
    assert done["state"] == "done" and done["counts"] == {"done": 1}
    (found,) = done["photos"]
    result = found["result"]
    assert result["name"] == "grand ma.colour.jpg"
    assert result["kind"] == "colorization" and result["model"] == "ddcolor_v2"
    assert [notice["code"] for notice in result["notices"]] == ["preset-chosen-nothing"]
    assert result["notices"][0]["help"].startswith("portrait-or-building")

    address = f"/api/v1/photos/{found['id']}"
    assert studio.ask("ben", "GET", f"{address}/original").body == photo
    fetched = studio.ask("ben", "GET", f"{address}/result")
    assert "grand%20ma.colour.jpg" in fetched.headers["Content-Disposition"]
    (tmp_path / "before.jpg").write_bytes(photo)
    (tmp_path / "after.jpg").write_bytes(fetched.body)
    before, after = (read_photo(tmp_path / f"{name}.jpg") for name in ("before", "after"))
    assert np.ptp(after.pixels.astype(int), axis=-1).mean() > 5, "it has colour"
    # JPEG's own rounding, twice, is in this.
    assert np.abs(lightness(after.pixels) - lightness(before.pixels)).mean() < 1
    with Image.open(tmp_path / "after.jpg") as picture:
        assert picture.getexif()[0x010E] == "Grandmother in the garden"
    record = result_record(tmp_path / "after.jpg")
    assert record is not None
    assert record.parameters[SOURCE_SHA256] == hashlib.sha256(photo).hexdigest()
    for view in ("before", "after"):
        small = studio.ask("ben", "GET", f"{address}/{view}")
        assert small.headers["Content-Type"] == "image/jpeg"
        assert Image.open(io.BytesIO(small.body)).size == (301, 200)


def test_all_results_come_as_one_zip_that_says_what_was_done(studio: RunningStudio, photo: bytes):
    ids = [studio.bring("ben", photo, "same.jpg"), studio.bring("ben", photo, "same.jpg")]
    job = studio.job("ben", ids, "portrait")
    studio.wait("ben", job["id"])
    answer = studio.ask("ben", "GET", f"/api/v1/jobs/{job['id']}/results.zip")
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "same.colour.jpg", "same.colour (2).jpg", "heliochrome.json",
        ]  # fmt: skip
        told = json.loads(archive.read("heliochrome.json"))["photos"]
        one = studio.ask("ben", "GET", f"/api/v1/photos/{ids[1]}/result").body
        assert archive.read("same.colour (2).jpg") == one
    assert [row["source"] for row in told] == ["same.jpg", "same.jpg"]
    assert told[0]["source_sha256"] == hashlib.sha256(photo).hexdigest()
    assert told[0]["parameters"]["preset"] == "portrait"


def test_sixteen_bits_stay(studio: RunningStudio, tmp_path: Path):
    values = np.linspace(0, 65535, 96 * 64).astype(np.uint16).reshape(64, 96)
    Image.fromarray(values).save(tmp_path / "scan.tif")
    brought = studio.bring("ben", (tmp_path / "scan.tif").read_bytes(), "scan.tif")
    done = studio.wait("ben", studio.job("ben", [brought], "building")["id"])
    assert done["photos"][0]["result"]["name"] == "scan.colour.tif"
    path = tmp_path / "scan.colour.tif"
    path.write_bytes(studio.ask("ben", "GET", f"/api/v1/photos/{brought}/result").body)
    after = read_photo(path)
    assert after.pixels.dtype == np.uint16
    before = np.repeat(values[..., None], 3, axis=-1)
    assert np.abs(lightness(after.pixels) - lightness(before)).max() < 0.01


def test_nobody_sees_what_is_somebody_elses(studio: RunningStudio, photo: bytes):
    brought = studio.bring("ben", photo)
    job = studio.job("ben", [brought], "portrait")["id"]
    studio.wait("ben", job)
    missing = "0" * 32
    for method, address in (
        ("GET", "photos/{photo}"), ("DELETE", "photos/{photo}"), ("GET", "photos/{photo}/original"),
        ("GET", "photos/{photo}/result"), ("GET", "photos/{photo}/before"),
        ("GET", "photos/{photo}/after"), ("GET", "jobs/{job}"), ("DELETE", "jobs/{job}"),
        ("POST", "jobs/{job}/cancel"), ("POST", "jobs/{job}/retry"),
        ("GET", "jobs/{job}/results.zip"),
    ):  # fmt: skip
        theirs = studio.ask("eve", method, f"/api/v1/{address.format(photo=brought, job=job)}")
        nobodys = studio.ask("eve", method, f"/api/v1/{address.format(photo=missing, job=missing)}")
        assert theirs.status == nobodys.status == 404
        assert theirs.body == nobodys.body, address
    taken = studio.ask("eve", "POST", "/api/v1/jobs", {"photos": [brought], "preset": "auto"})
    assert taken.status == 404
    assert all(
        found["id"] != job for found in studio.ask("eve", "GET", "/api/v1/jobs").json["jobs"]
    )
    assert studio.ask("ben", "GET", f"/api/v1/jobs/{job}").status == 200


@pytest.mark.parametrize("token", ["", "wrong", "é", "t" * 31])
def test_who_does_not_come_through_the_gateway_gets_nothing(studio: RunningStudio, token: str):
    for address in ("/", "/api/v1/me", "/api/v1/jobs", "/help/en", "/internal/events"):
        answer = studio.ask("ben", "GET", address, Heliochrome_Token=token)
        assert answer.status == 401 and answer.json["error"]["code"] == "unauthorized"
    assert studio.ask("", "GET", "/healthz", Heliochrome_Token=token).status == 200


def test_without_a_model_there_is_only_a_preview_and_it_says_so(tmp_path: Path, photo: bytes):
    with running_studio(tmp_path, model=False) as studio:
        me = studio.ask("ben", "GET", "/api/v1/me").json
        assert me["model"]["available"] is False
        assert "heliochrome models get ddcolor_v2" in me["model"]["advice"]
        failed = studio.wait("ben", studio.job("ben", [studio.bring("ben", photo)], "auto")["id"])
        assert failed["state"] == "failed"
        assert failed["photos"][0]["error"]["code"] == "model_unavailable"
        assert failed["photos"][0]["result"] is None, "never a silent fake"
        for said in (me["model"]["advice"], failed["photos"][0]["error"]["message"]):
            assert str(tmp_path) not in said, "where things lie is nobody's business"
        brought = studio.bring("ben", photo, "aunt.jpg")
        job = studio.job("ben", [brought], "auto", preview=True)
        result = studio.wait("ben", job["id"])["photos"][0]["result"]
        assert result["kind"] == "preview" and result["name"] == "aunt.preview.jpg"
        assert result["model"] is None
        assert [notice["code"] for notice in result["notices"]] == ["preview"]


def test_a_job_is_tried_again_and_deleted_with_its_files(tmp_path: Path, photo: bytes):
    with running_studio(tmp_path, model=False) as studio:
        brought = studio.bring("ben", photo)
        job = studio.job("ben", [brought], "portrait")["id"]
        assert studio.wait("ben", job)["state"] == "failed"
        studio.install_model()
        again = studio.ask("ben", "POST", f"/api/v1/jobs/{job}/retry").json
        assert again["state"] == "queued" and again["photos"][0]["error"] is None
        assert studio.wait("ben", job)["state"] == "done"
        in_a_job = studio.ask("ben", "DELETE", f"/api/v1/photos/{brought}")
        assert in_a_job.status == 409 and in_a_job.json["error"]["code"] == "not_ready"
        assert studio.ask("ben", "GET", "/api/v1/me").json["used_bytes"] > len(photo)
        assert studio.ask("ben", "DELETE", f"/api/v1/jobs/{job}").status == 204
        assert studio.ask("ben", "GET", f"/api/v1/jobs/{job}").status == 404
        assert list((studio.folder / "photos").iterdir()) == []
        assert studio.ask("ben", "GET", "/api/v1/me").json["used_bytes"] == 0


def test_what_waits_is_cancelled_and_what_runs_is_left(tmp_path: Path, photo: bytes):
    with running_studio(tmp_path, start_worker=False) as studio:
        ids = [studio.bring("ben", photo) for _ in range(3)]
        job = studio.job("ben", ids, "portrait")
        assert [found["position"] for found in job["photos"]] == [1, 2, 3]
        cancelled = studio.ask("ben", "POST", f"/api/v1/jobs/{job['id']}/cancel").json
        assert cancelled["state"] == "cancelled"
        assert [found["position"] for found in cancelled["photos"]] == [None] * 3
