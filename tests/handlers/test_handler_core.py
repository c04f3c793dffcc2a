from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from handler_calls import (
    GOOD,
    Caller,
    base64_of,
    hole,
    picture_of,
    pixels_in,
    pixels_of,
    plain,
    record_of,
    sample,
    wide,
)
from lambda_runtime import created_event, url_event

from heliochrome.core.jobs import Cancel
from heliochrome.core.photo import read_photo
from heliochrome.handlers import aws_s3, aws_url
from heliochrome.handlers.journal import JsonLines
from heliochrome.handlers.models import Generator, Models
from heliochrome.handlers.service import Service

PRIVATE = "a secret"
PICTURE, MASK = base64_of(sample()), base64_of(hole())


class Lines(logging.Handler):
    """What the log would hold, line by line."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonLines())
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))

    @property
    def text(self) -> str:
        return json.dumps(self.lines)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[Lines]:
    handler, pack = Lines(), logging.getLogger("heliochrome")
    pack.addHandler(handler)
    with caplog.at_level(logging.INFO, "heliochrome"):
        yield handler
    pack.removeHandler(handler)


def test_a_generation_answers_with_the_picture_and_all_that_made_it(
    ask: Caller, tmp_path: Path
) -> None:
    response = ask(GOOD, request_id="r-1")
    document = response.document()
    assert response.status == 200
    assert response.headers["content-type"] == "application/json"
    assert (document["request_id"], document["task"]) == ("r-1", "text-to-image")
    (image,) = document["images"]
    assert (image["mime_type"], image["width"], image["height"]) == ("image/png", 64, 64)
    assert image["seed"] == 7
    assert document["settings"] == {
        **GOOD,
        "negative_prompt": "",
        "width": 64,
        "height": 64,
        "guidance_scale": 7.5,
        "strength": None,
        "num_images_per_prompt": 1,
        "scheduler": "pndm",
    }
    assert document["model"]["name"] == "tiny"
    assert pixels_of(picture_of(image)).shape == (64, 64, 3)
    record = record_of(picture_of(image), tmp_path)
    assert record.kind == document["provenance"]["kind"] == "generation"
    assert record.parameters["seed"] == 7
    assert "prompt" not in record.parameters


def test_the_operator_may_have_prompts_recorded(ask: Caller, tmp_path: Path) -> None:
    (image,) = ask.with_settings(record_prompt=True)(GOOD).document()["images"]
    assert record_of(picture_of(image), tmp_path).parameters["prompt"] == "the cat"


def test_a_seed_that_was_drawn_makes_the_same_picture_again(ask: Caller) -> None:
    free = {"prompt": "the cat", "num_inference_steps": 2}
    (first,) = ask(free).document()["images"]
    (other,) = ask(free).document()["images"]
    (again,) = ask({**free, "seed": first["seed"]}).document()["images"]
    assert np.array_equal(pixels_of(picture_of(again)), pixels_of(picture_of(first)))
    assert other["seed"] != first["seed"]


def test_each_of_many_pictures_has_its_own_seed_and_record(ask: Caller, tmp_path: Path) -> None:
    images = ask({**GOOD, "num_images_per_prompt": 3}).document()["images"]
    assert [image["seed"] for image in images] == [7, 8, 9]
    (alone,) = ask({**GOOD, "seed": 9}).document()["images"]
    assert np.array_equal(pixels_of(picture_of(alone)), pixels_of(picture_of(images[2])))
    assert record_of(picture_of(images[2]), tmp_path).parameters["seed"] == 9


@pytest.mark.parametrize(
    ("document", "task", "kind"),
    [
        (GOOD, "text-to-image", "generation"),
        ({**GOOD, "task": "text-to-image", "image": None}, "text-to-image", "generation"),
        ({**GOOD, "eta": 0}, "text-to-image", "generation"),
        ({**GOOD, "image": PICTURE}, "image-to-image", "variation"),
        ({**GOOD, "image": f"data:image/png;base64,{PICTURE}"}, "image-to-image", "variation"),
        ({**GOOD, "image": f"{PICTURE[:76]}\n{PICTURE[76:]}\n"}, "image-to-image", "variation"),
        ({**GOOD, "image": PICTURE, "mask": MASK}, "inpaint", "inpainting"),
        ({**GOOD, "task": "inpaint", "image": PICTURE, "mask": MASK}, "inpaint", "inpainting"),
        ({"image": PICTURE}, "colorize", "colorization"),
        ({"image": PICTURE, "task": "colorize", "size": 256}, "colorize", "colorization"),
        ({"image": PICTURE, "preset": "auto", "prompt": None}, "colorize", "colorization"),
        ({"image": PICTURE, "reference_mode": True, "size": 256}, "colorize", "colorization"),
    ],
)
def test_what_is_given_tells_the_task(
    ask: Caller, document: dict[str, Any], task: str, kind: str, tmp_path: Path
) -> None:
    found = ask(document).document()
    assert found["task"] == task
    assert record_of(picture_of(found["images"][0]), tmp_path).kind == kind


def test_a_mask_without_white_has_nothing_to_repaint(ask: Caller) -> None:
    black, white = (base64_of(plain(value)) for value in (0, 255))
    assert ask({**GOOD, "image": PICTURE, "mask": black}).code == "bad_image"
    assert ask({**GOOD, "image": PICTURE, "mask": white}).status == 200
    smaller = base64_of(plain(255, 32))
    assert ask({**GOOD, "image": PICTURE, "mask": smaller}).code == "bad_image"


def test_a_picture_of_ours_keeps_what_was_done_to_it_before(ask: Caller, tmp_path: Path) -> None:
    (made,) = ask(GOOD).document()["images"]
    (varied,) = ask({**GOOD, "image": made["image"]}).document()["images"]
    coloured = ask({"image": varied["image"], "size": 256}).document()
    record = record_of(picture_of(coloured["images"][0]), tmp_path)
    assert [earlier.kind for earlier in record.earlier] == ["generation", "variation"]
    assert record.kind == "colorization"
    assert coloured["provenance"]["digital_source_type"] == record.source_type


@pytest.mark.parametrize("ending", [".jpg", ".png", ".tif", ".webp"])
def test_a_coloured_photograph_keeps_its_format_and_size(
    ask: Caller, ending: str, tmp_path: Path
) -> None:
    file = sample(96, ending)
    document = ask({"image": base64_of(file), "size": 256, "strength": 0.5}).document()
    (image,) = document["images"]
    path = tmp_path / "result"
    path.write_bytes(picture_of(image))
    found = read_photo(path)
    assert image["mime_type"] == f"image/{found.format}"
    assert found.format in ("jpeg" if ending == ".jpg" else "tiff" if ending == ".tif" else ending)
    assert found.pixels.shape == (96, 96, 3)
    assert document["settings"]["strength"] == 0.5
    assert re.fullmatch(r"[0-9a-f]{64}", document["provenance"]["parameters"]["source_sha256"])


@pytest.mark.parametrize(("ending", "depth"), [(".png", 8), (".png", 16), (".tif", 8)])
def test_what_is_not_masked_stays_bit_for_bit_in_a_photograph_of_any_size(
    ask: Caller, tmp_path: Path, ending: str, depth: int
) -> None:
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 2**depth, (150, 230, 3), np.uint16).astype(f"uint{depth}")
    mask = np.zeros((150, 230), np.uint8)
    mask[30:90, 40:100] = 255
    files = []
    for kind, array in ((ending, pixels), (".png", mask)):
        good, encoded = cv2.imencode(kind, array)
        assert good
        files.append(base64_of(encoded.tobytes()))
    response = ask({**GOOD, "image": files[0], "mask": files[1]})
    (image,) = response.document()["images"]
    assert (image["width"], image["height"], image["mime_type"]) == (230, 150, "image/png")
    file = picture_of(image)
    found = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    assert found.dtype == pixels.dtype
    assert np.array_equal(found[mask == 0], pixels[mask == 0])
    assert not np.array_equal(found[mask > 0], pixels[mask > 0])
    assert record_of(file, tmp_path).kind == "inpainting"


@pytest.mark.parametrize(
    ("accept", "document", "kind"),
    [
        ("image/png", GOOD, "image/png"),
        ("image/*", GOOD, "image/png"),
        ("text/html, image/png;q=0.9, application/json;q=0.5", GOOD, "image/png"),
        ("image/png;q=0.5, */*", GOOD, "application/json"),
        ("*/*", GOOD, "application/json"),
        ("", GOOD, "application/json"),
        ("image/*", {"image": base64_of(sample(64, ".jpg"))}, "image/jpeg"),
        ("image/png", {"image": base64_of(sample(64, ".jpg"))}, "image/png"),
        ("image/webp", {"image": PICTURE}, "image/webp"),
        ("image/webp, application/json;q=0.5", GOOD, "application/json"),
        ("image/avif, image/png;q=0.5, application/json;q=0.1", GOOD, "image/png"),
        ("image/webp, image/png", {"image": base64_of(wide(17_000))}, "image/png"),
        ("image/png, */*;q=0.1", {**GOOD, "num_images_per_prompt": 2}, "application/json"),
        ("*/*, application/json;q=0", GOOD, "image/png"),
        ("image/*, image/jpeg;q=0", {"image": base64_of(sample(64, ".jpg"))}, "image/png"),
        ("image/*, image/png;q=0", GOOD, None),
        ("image/webp", {"image": base64_of(wide(17_000))}, None),
        ("image/jpeg", GOOD, None),
        ("image/avif", GOOD, None),
        ("image/png;q=x", GOOD, None),
        ("image/png", {**GOOD, "num_images_per_prompt": 2}, None),
    ],
)
def test_accept_chooses_between_json_and_the_picture(
    ask: Caller, accept: str, document: dict[str, Any], kind: str | None, tmp_path: Path
) -> None:
    response = ask(document, accept=accept)
    if kind is None:
        assert (response.status, response.code) == (406, "not_acceptable")
        return
    assert (response.status, response.headers["content-type"]) == (200, kind)
    if kind != "application/json":
        assert record_of(response.body, tmp_path).kind in ("generation", "colorization")
        assert response.headers["x-heliochrome-task"] in ("text-to-image", "colorize")
        json.loads(response.headers["x-heliochrome-settings"])
        assert "cat" not in str(response.headers)


def test_a_picture_that_is_too_large_without_a_bucket_is_refused(ask: Caller) -> None:
    response = ask.with_settings(max_response_bytes=2048)(GOOD)
    assert (response.status, response.code) == (413, "response_too_large")
    assert "HELIOCHROME_OUTPUT" in response.document()["error"]["message"]


@pytest.mark.parametrize("most", range(5300, 5800, 50))
def test_the_limit_counts_what_the_platform_counts(ask: Caller, most: int) -> None:
    """The body is wrapped into JSON once more, which makes two of every quote."""
    response = ask.with_settings(max_response_bytes=most)(GOOD, request_id="r")
    wrapped = len(json.dumps(ask(GOOD, request_id="r").body.decode())) - 2
    assert (response.status == 200) == (wrapped <= most)


def test_work_stops_before_the_deadline_and_the_next_request_is_as_ever(ask: Caller) -> None:
    before = pixels_in(ask(GOOD))
    hurried = ask.with_settings(deadline_margin_s=1)
    started = time.monotonic()
    response = hurried(
        {**GOOD, "num_inference_steps": 250, "width": 1024, "height": 1024}, deadline=started + 1.5
    )
    took = time.monotonic() - started
    assert (response.status, response.code) == (504, "deadline_exceeded")
    assert 0.4 < took < 1.5
    assert pixels_in(ask(GOOD)) == before


def test_whoever_waits_for_another_request_waits_no_longer_than_there_is_time(
    ask: Caller, service: Service
) -> None:
    done = threading.Event()
    with ThreadPoolExecutor() as pool:
        other = pool.submit(service.run, lambda stop: done.wait(30), lambda: None)
        started = time.monotonic()
        response = ask(GOOD, deadline=started + 2.3)
        assert (response.status, time.monotonic() - started < 2.3) == (504, True)
        done.set()
        assert other.result() is True
    assert ask(GOOD, deadline=time.monotonic() + 60).status == 200


def test_a_deadline_that_has_passed_starts_nothing(ask: Caller) -> None:
    assert ask(GOOD, deadline=time.monotonic() + 1).code == "deadline_exceeded"


def test_what_cannot_be_interrupted_is_answered_in_time_and_not_done_twice(
    service: Service,
) -> None:
    """A model that takes long to open: the next request finds it open."""

    class Slow(Models):
        opened = 0

        def generator(self, cancel: Cancel) -> Generator:
            if not self.opened:
                time.sleep(5)
                self.opened += 1
            return service.models.generator(cancel)

    slow = Service(replace(service.settings, deadline_margin_s=1.5))
    slow.models = models = Slow(slow.settings)
    started = time.monotonic()
    assert Caller(slow)(GOOD, deadline=started + 2).code == "deadline_exceeded"
    assert time.monotonic() - started < 2
    assert Caller(slow)(GOOD, deadline=time.monotonic() + 30).status == 200
    assert models.opened == 1


def test_requests_at_the_same_time_get_what_they_would_get_alone(ask: Caller) -> None:
    seeds = range(6)
    alone = [pixels_in(ask({**GOOD, "seed": seed})) for seed in seeds]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda seed: ask({**GOOD, "seed": seed}), seeds))
    assert [pixels_in(response) for response in together] == alone


@pytest.mark.parametrize(
    ("changes", "document"),
    [
        ({"diffusion_model": None}, GOOD),
        ({"diffusion_model": "/nowhere"}, GOOD),
        ({"device": "TPU"}, GOOD),
        ({"color_model": "/nowhere.onnx"}, {"image": PICTURE}),
    ],
)
def test_what_the_operator_got_wrong_is_told_in_the_log_and_not_to_the_caller(
    service: Service,
    changes: dict[str, Any],
    document: dict[str, Any],
    lines: Lines,
) -> None:
    wrong = Caller(service).with_settings(**changes).service
    response = Caller(Service(wrong.settings))(document)
    (failure,) = [line for line in lines.lines if line["event"] == "failure"]
    assert any(word in failure["message"] for word in ("nowhere", "TPU", "MODEL"))
    assert response.status == 503
    assert response.code in ("not_configured", "model_unavailable")
    assert "nowhere" not in response.body.decode()
    assert "TPU" not in response.body.decode()


def test_settings_that_cannot_be_read_are_answered_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from heliochrome.handlers import HandlerRequest, handle

    monkeypatch.setattr("heliochrome.handlers.service._service", None)
    monkeypatch.setenv("HELIOCHROME_MAX_IMAGE_PIXELS", "many")
    response = handle(HandlerRequest(body=b"{}"))
    assert (response.status, response.code) == (503, "not_configured")
    assert "many" not in response.body.decode()


def test_the_log_tells_of_a_request_but_not_what_it_holds(ask: Caller, lines: Lines) -> None:
    ask({**GOOD, "prompt": "a secret"}, request_id="r-9")
    ask({**GOOD, "prompt": "a secret", "width": "a secret"}, request_id="r-9")
    ask({"image": base64_of(b"a secret")}, request_id="r-9")
    ask(b'{"prompt": "a secret', request_id="r-9")
    done = [line for line in lines.lines if line["event"] == "request"]
    assert [line["status"] for line in done] == [200, 400, 422, 400]
    assert {line["request_id"] for line in lines.lines} == {"r-9"}
    assert {"bad_setting", "bad_image", "bad_request"} <= {line.get("code") for line in lines.lines}
    assert "secret" not in lines.text
    ask.with_settings(log_content=True)({**GOOD, "prompt": "no secret"})
    assert "no secret" in lines.text


def test_what_is_refused_before_the_core_sees_it_is_in_the_log_too(lines: Lines) -> None:
    event = url_event(b"")
    answer = aws_url.answer({**event, "body": "half!", "isBase64Encoded": True}, "r-1", None)
    assert answer["statusCode"] == 400
    (outcome,) = aws_s3.colorize_all(created_event("Not A Bucket", "a.png"), "r-2", None)
    assert (outcome.status, outcome.code) == ("failed", "bad_setting")
    told = [(line["request_id"], line["code"]) for line in lines.lines]
    assert told == [("r-1", "bad_request"), ("r-2", "bad_setting")]


def test_no_field_of_a_request_passes_for_one_of_the_logs(ask: Caller, lines: Lines) -> None:
    forged = {"event": "failure", "level": "error", "request_id": "r-0", "task": 1, "time": "1999"}
    ask.with_settings(log_content=True)({**forged, **GOOD, "task": None}, request_id="r-9")
    (asked,) = [line for line in lines.lines if line["event"] == "asked"]
    assert (asked["level"], asked["request_id"]) == ("info", "r-9")
    assert asked["task"] == "text-to-image"
    assert asked["fields"]["event"] == "failure"


def test_a_fault_of_ours_is_an_answer_and_leaves_its_place_in_the_log(
    service: Service, lines: Lines
) -> None:
    class Broken:
        def generator(self, cancel: object) -> None:
            raise ZeroDivisionError(PRIVATE)

    broken = Service(service.settings)
    broken.models = Broken()  # type: ignore[assignment]
    response = Caller(broken)(GOOD, request_id="r-5")
    assert (response.status, response.code) == (500, "internal_error")
    assert response.document()["error"]["request_id"] == "r-5"
    assert PRIVATE not in response.body.decode() + lines.text
    (failure,) = [line for line in lines.lines if line["event"] == "failure"]
    assert failure["error"] == "ZeroDivisionError"
    assert any("test_handler_core.py" in frame for frame in failure["trace"])
