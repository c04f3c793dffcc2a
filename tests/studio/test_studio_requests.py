"""What the studio refuses: one code and one sentence each, and nothing left behind."""

from __future__ import annotations

import http.client
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from running_studio import RunningStudio, headers_of, running_studio

MOST_BYTES, MOST_PIXELS, MOST_KEPT = 200_000, 100_000, 400_000


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with running_studio(
        tmp_path_factory.mktemp("studio"),
        start_worker=False,
        max_photo_bytes=MOST_BYTES,
        max_photo_pixels=MOST_PIXELS,
        max_user_bytes=MOST_KEPT,
        max_job_photos=2,
    ) as running:
        yield running


def png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (height, width), np.uint8)).save(
        file, "png"
    )
    return file.getvalue()


BAD_FILES = {
    "nothing": (b"", 400, "bad_request"),
    "text": (b"Dear grandmother", 422, "bad_image"),
    "cut short": (png(100, 80)[:3000], 422, "bad_image"),
    "a page": (b"<script>alert(1)</script>", 422, "bad_image"),
    "too many pixels": (png(400, 300)[:60] + b"\0" * 100, 422, "bad_image"),
    "too many bytes": (png(100, 80) + b"\0" * MOST_BYTES, 413, "photo_too_large"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_what_is_no_photograph_is_not_taken(studio: RunningStudio, case: str):
    body, status, code = BAD_FILES[case]
    answer = studio.ask("ann", "POST", "/api/v1/photos?name=../../etc/passwd.png", body)
    assert (answer.status, answer.json["error"]["code"]) == (status, code)
    assert str(studio.folder) not in answer.json["error"]["message"]
    assert list((studio.folder / "incoming").iterdir()) == []
    assert studio.ask("ann", "GET", "/api/v1/me").json["used_bytes"] == 0
    told = json.loads(answer.headers["Heliochrome-Event"])
    assert told["kind"] == "upload" and told["outcome"] == "refused" and told["reason"] == code


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd.png", "etc/passwd.png"), ("C:\\fakepath\\aunt.png", "aunt.png"),
        ("1931/wedding/1.jpg", "1931/wedding/1.jpg"), ("/a//b/./c.png", "a/b/c.png"),
        ("CON.jpg", "_CON.jpg"), ("Brief 12.5.1931", "Brief 12.5.1931"), ("外" * 90 + ".tif", None),
        ("", "photo"), ("...", "photo"), ("a\r\nSet-Cookie: b.png", "a__Set-Cookie_ b.png"),
        ("祖母 1932.png", "祖母 1932.png"), ("scan.2020", "scan.2020"), ("x" * 400 + ".png", None),
        ("con|<>?*.png", "con_____.png"), ("a.png/", "a.png/photo"),
        ("a\u202egnp.exe", "a_gnp.exe"),
    ],
)  # fmt: skip
def test_a_name_is_made_harmless(studio: RunningStudio, given: str, kept: str | None):
    brought = studio.bring("nan", png(20, 10), given)
    found = studio.ask("nan", "GET", f"/api/v1/photos/{brought}").json["name"]
    assert found == kept if kept else len(found.encode()) <= 200 and found[-4:] == given[-4:]
    original = studio.ask("nan", "GET", f"/api/v1/photos/{brought}/original")
    assert original.body == png(20, 10)
    assert "\r" not in original.headers["Content-Disposition"]
    assert studio.ask("nan", "DELETE", f"/api/v1/photos/{brought}").status == 204


BAD_JOBS: dict[str, tuple[Any, int, str]] = {
    "no JSON": (b"{", 400, "bad_request"),
    "not UTF-8": (b'{"photos": ["\xff"]}', 400, "bad_request"),
    "a list": ([], 400, "bad_request"),
    "nested": (b"[" * 100_000, 400, "bad_request"),
    "nothing": ({}, 400, "bad_request"),
    "no photographs": ({"photos": [], "preset": "auto"}, 400, "bad_request"),
    "photographs as text": ({"photos": "abc", "preset": "auto"}, 400, "bad_request"),
    "numbers": ({"photos": [1], "preset": "auto"}, 400, "bad_request"),
    "one twice": ({"photos": ["a", "a"], "preset": "auto"}, 400, "bad_request"),
    "too many": ({"photos": ["a", "b", "c"], "preset": "auto"}, 400, "bad_request"),
    "unknown photograph": ({"photos": ["a"], "preset": "auto"}, 404, "not_found"),
    "no preset": ({"photos": ["a"]}, 400, "bad_setting"),
    "unknown preset": ({"photos": ["a"], "preset": "sepia"}, 400, "bad_setting"),
    "preset as list": ({"photos": ["a"], "preset": ["auto"]}, 400, "bad_setting"),
    "preview as text": ({"photos": ["a"], "preset": "auto", "preview": "yes"}, 400, "bad_request"),
    "unknown field": ({"photos": ["a"], "preset": "auto", "size": 512}, 400, "bad_request"),
    "webhook": (
        {"photos": ["a"], "preset": "auto", "webhook": "http://127.0.0.1/"},
        403,
        "webhook_not_allowed",
    ),
    "webhook as list": ({"photos": ["a"], "preset": "auto", "webhook": []}, 400, "bad_request"),
    "megabytes": (b" " * 5_000_000, 413, "photo_too_large"),
}


@pytest.mark.parametrize("case", BAD_JOBS)
def test_what_is_no_job_is_refused(studio: RunningStudio, case: str):
    body, status, code = BAD_JOBS[case]
    answer = studio.ask("ann", "POST", "/api/v1/jobs", body)
    assert (answer.status, answer.json["error"]["code"]) == (status, code)
    assert answer.json["error"]["message"].endswith((".", "!"))
    assert studio.ask("ann", "GET", "/api/v1/jobs").json == {"jobs": [], "more": False}


def test_a_job_takes_all_of_its_photographs_or_none(studio: RunningStudio):
    brought = studio.bring("liz", png(20, 10))
    body = {"photos": [brought, "f" * 32], "preset": "auto"}
    assert studio.ask("liz", "POST", "/api/v1/jobs", body).status == 404
    assert studio.ask("liz", "GET", f"/api/v1/photos/{brought}").json["state"] == "uploaded"
    job = studio.job("liz", [brought], "auto")
    again = studio.ask("liz", "POST", "/api/v1/jobs", {"photos": [brought], "preset": "auto"})
    assert again.status == 409 and again.json["error"]["code"] == "not_ready"
    waiting = studio.ask("liz", "DELETE", f"/api/v1/jobs/{job['id']}")
    assert waiting.status == 409 and "Stop it first" in waiting.json["error"]["message"]
    for name in ("result", "after"):
        assert studio.ask("liz", "GET", f"/api/v1/photos/{brought}/{name}").status == 409
    view = studio.ask("liz", "GET", f"/api/v1/photos/{brought}/before")
    assert Image.open(io.BytesIO(view.body)).size == (20, 10), "it is seen from the beginning"
    assert studio.ask("liz", "GET", f"/api/v1/jobs/{job['id']}/results.zip").status == 409


def test_nobody_fills_the_disk(studio: RunningStudio):
    large = png(300, 200)
    kept = []
    while (answer := studio.ask("max", "POST", "/api/v1/photos?name=a.png", large)).status == 201:
        kept.append(answer.json["id"])
        assert len(kept) * len(large) <= MOST_KEPT
    assert answer.status == 507 and answer.json["error"]["code"] == "quota_exceeded"
    studio.bring("ann", png(20, 10))
    assert studio.ask("max", "DELETE", f"/api/v1/photos/{kept[0]}").status == 204
    studio.bring("max", large)


def test_an_upload_that_breaks_off_leaves_nothing(studio: RunningStudio):
    whole = png(300, 200)
    for head in ({"Content-Length": str(len(whole))}, {"Transfer-Encoding": "chunked"}):
        connection = http.client.HTTPConnection(urlsplit(studio.address).netloc, timeout=10)
        connection.putrequest("POST", "/api/v1/photos?name=a.png")
        for name, text in {**headers_of("tim"), **head}.items():
            connection.putheader(name, text)
        connection.endheaders()
        part = whole[:1000]
        connection.send(part if "Content-Length" in head else b"3e8\r\n" + part + b"\r\n")
        incoming = studio.folder / "incoming"
        studio.wait_until(lambda folder=incoming: bool(list(folder.iterdir())))
        connection.close()
        studio.wait_until(lambda folder=incoming: not list(folder.iterdir()))
    assert studio.ask("tim", "GET", "/api/v1/me").json["used_bytes"] == 0


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404), ("PUT", "/api/v1/photos", 405),
        ("POST", "/api/v1/me", 405), ("GET", "/static/..%2fsettings.py", 404),
        ("GET", "/static/%2e%2e/app.py", 404), ("GET", "/static/texts/fr.json", 404),
        ("GET", "/static/en.json", 404), ("GET", "/nothing", 404),
    ],
)  # fmt: skip
def test_other_addresses_are_refused(studio: RunningStudio, method: str, path: str, status: int):
    answer = studio.ask("ann", method, path)
    assert answer.status == status
    if path.startswith("/api"):
        assert answer.json["error"]["message"]


def test_two_at_once_get_their_own(studio: RunningStudio, tmp_path: Path):
    """Names do not decide where a file lies."""
    one, other = (
        studio.bring("amy", png(20, 10), "a.png"),
        studio.bring("bob", png(30, 10), "a.png"),
    )
    assert studio.ask("amy", "GET", f"/api/v1/photos/{one}").json["width"] == 20
    assert studio.ask("bob", "GET", f"/api/v1/photos/{other}").json["width"] == 30
