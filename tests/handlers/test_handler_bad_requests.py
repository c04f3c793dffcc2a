from __future__ import annotations

import io
import json
import struct
import time
import zlib
from typing import Any

import pytest
from bad_requests import BAD
from bad_requests import GOOD as GOOD_REQUEST
from handler_calls import GOOD, Caller, base64_of, hole, pixels_in, sample
from PIL import Image

from heliochrome.handlers.refusals import STATUS

PICTURE, MASK = base64_of(sample()), base64_of(hole())


def bomb() -> bytes:
    """A PNG of a few hundred bytes that says it has 900 million pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100_000)))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def animation() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, "GIF")
    return file.getvalue()


# What is wrong, the body (bytes as they are), what else the request says, and the code.
HTTP: tuple[tuple[str, Any, dict[str, Any], str], ...] = (
    ("no body", b"", {}, "bad_request"),
    ("no JSON", b"prompt=cat", {}, "bad_request"),
    ("half a JSON", b'{"prompt": "ca', {}, "bad_request"),
    ("no UTF-8", b'{"prompt": "\xff"}', {}, "bad_request"),
    ("a list", [GOOD], {}, "bad_request"),
    ("a text", "the cat", {}, "bad_request"),
    ("null", b"null", {}, "bad_request"),
    ("NaN is no JSON", b'{"prompt": "cat", "guidance_scale": NaN}', {}, "bad_request"),
    (
        "a number of 9000 digits",
        b'{"prompt": "cat", "seed": ' + b"9" * 9000 + b"}",
        {},
        "bad_request",
    ),
    ("100 000 brackets", b"[" * 100_000, {}, "bad_request"),
    ("GET", GOOD, {"method": "GET"}, "method_not_allowed"),
    ("DELETE", GOOD, {"method": "DELETE"}, "method_not_allowed"),
    (
        "a form",
        GOOD,
        {"content_type": "application/x-www-form-urlencoded"},
        "unsupported_media_type",
    ),
    (
        "an upload",
        GOOD,
        {"content_type": "multipart/form-data; boundary=x"},
        "unsupported_media_type",
    ),
    ("a page is wanted", GOOD, {"accept": "text/html"}, "not_acceptable"),
    ("10 MB", {**GOOD, "image": "A" * 10_000_000}, {}, "request_too_large"),
    ("image is a number", {**GOOD, "image": 5}, {}, "bad_setting"),
    ("image is a list", {"image": [PICTURE]}, {}, "bad_setting"),
    ("image is empty", {"image": ""}, {}, "bad_image"),
    ("image is no base64", {"image": "the cat!"}, {}, "bad_image"),
    ("image lacks a digit", {"image": PICTURE[:-3]}, {}, "bad_image"),
    ("image is at a web address", {"image": "https://example.org/cat.png"}, {}, "bad_image"),
    ("image is a file of ours", {"image": "file:///etc/passwd"}, {}, "bad_image"),
    ("image is in a foreign bucket", {"image": "s3://foreign/cat.png"}, {}, "place_not_allowed"),
    ("image leads out of its folder", {"image": "s3://allowed/in/../key"}, {}, "bad_setting"),
    ("image has no key", {"image": "s3://allowed"}, {}, "place_not_allowed"),
    ("image is the folder", {"image": "s3://allowed/in/"}, {}, "place_not_allowed"),
    ("image is a folder", {"image": "s3://allowed/in/a/"}, {}, "place_not_allowed"),
    ("image has no bucket", {"image": "s3:///cat.png"}, {}, "bad_setting"),
    ("image is text", {"image": base64_of(b"the cat")}, {}, "bad_image"),
    ("image is cut off", {"image": base64_of(sample()[:-200])}, {}, "bad_image"),
    ("image is a bomb", {"image": base64_of(bomb())}, {}, "bad_image"),
    ("image of a prompt is a bomb", {**GOOD, "image": base64_of(bomb())}, {}, "bad_image"),
    ("mask is a bomb", {**GOOD, "image": PICTURE, "mask": base64_of(bomb())}, {}, "bad_image"),
    ("mask is text", {**GOOD, "image": PICTURE, "mask": base64_of(b"cat")}, {}, "bad_image"),
    ("mask without image", {**GOOD, "mask": MASK}, {}, "bad_setting"),
    ("task is unknown", {**GOOD, "task": "upscale"}, {}, "bad_setting"),
    ("task is a list", {**GOOD, "task": ["inpaint"]}, {}, "bad_setting"),
    ("inpaint without pictures", {**GOOD, "task": "inpaint"}, {}, "bad_setting"),
    (
        "image-to-image with a mask",
        {**GOOD, "task": "image-to-image", "image": PICTURE, "mask": MASK},
        {},
        "bad_setting",
    ),
    (
        "text-to-image with a picture",
        {**GOOD, "task": "text-to-image", "image": PICTURE},
        {},
        "bad_setting",
    ),
    (
        "image-to-image without a prompt",
        {"task": "image-to-image", "image": PICTURE},
        {},
        "bad_setting",
    ),
    ("strength leaves no step", {**GOOD, "image": PICTURE, "strength": 0.01}, {}, "bad_setting"),
    ("a field of no task", {**GOOD, "imgae": PICTURE}, {}, "bad_setting"),
    ("colorize without a picture", {"task": "colorize"}, {}, "bad_image"),
    (
        "colorize with a prompt",
        {"task": "colorize", "image": PICTURE, "prompt": "cat"},
        {},
        "bad_setting",
    ),
    (
        "colorize with a mask",
        {"task": "colorize", "image": PICTURE, "mask": MASK},
        {},
        "bad_setting",
    ),
    ("colorize with steps", {"image": PICTURE, "num_inference_steps": 4}, {}, "bad_setting"),
    ("preset is unknown", {"image": PICTURE, "preset": "cat"}, {}, "bad_setting"),
    ("preset is a list", {"image": PICTURE, "preset": []}, {}, "bad_setting"),
    ("size is too small", {"image": PICTURE, "size": 8}, {}, "bad_setting"),
    ("size is a bool", {"image": PICTURE, "size": True}, {}, "bad_setting"),
    ("strength is a text", {"image": PICTURE, "strength": "1"}, {}, "bad_setting"),
    ("ensemble is even", {"image": PICTURE, "ensemble": 2}, {}, "bad_setting"),
    ("chroma_guide is a list", {"image": PICTURE, "chroma_guide": []}, {}, "bad_setting"),
    ("reference_mode is a number", {"image": PICTURE, "reference_mode": 1}, {}, "bad_setting"),
    (
        "reference_mode with strength",
        {"image": PICTURE, "reference_mode": True, "strength": 1},
        {},
        "bad_setting",
    ),
    ("an address of 2.5 MB", {"image": "s3://bucket/" + "k" * 2_500_000}, {}, "bad_setting"),
    ("a bucket of 2.5 MB", {"image": "s3://" + "b" * 2_500_000}, {}, "bad_setting"),
    (
        "an address in place of base64",
        {**GOOD, "image": "oss://b/" + "\0" * 2000},
        {},
        "bad_setting",
    ),
    ("a foreign key of 1000", {"image": "s3://foreign/" + "k" * 1000}, {}, "place_not_allowed"),
    ("a type of 2 MB", GOOD, {"content_type": "t" * 2_000_000}, "unsupported_media_type"),
    ("450 000 fields", {f"f{number}": 0 for number in range(450_000)}, {}, "bad_setting"),
    ("a name of 2.5 MB", {"image": PICTURE, "n" * 2_500_000: 0}, {}, "bad_setting"),
    ("names of the log's fields", {"event": 0, "level": 1, "request_id": "r-5"}, {}, "bad_setting"),
    ("reference_amount", {"image": PICTURE, "reference_amount": 0.5}, {}, "bad_setting"),
)


@pytest.mark.parametrize("log_content", [False, True])
@pytest.mark.parametrize(
    ("document", "about", "code"),
    [
        *(pytest.param(body, {}, None, id=what) for what, body, _ in BAD),
        *(pytest.param(body, about, code, id=what) for what, body, about, code in HTTP),
    ],
)
def test_a_bad_request_is_a_structured_4xx(
    ask: Caller, document: Any, about: dict[str, Any], code: str | None, log_content: bool
) -> None:
    allowing = ask.with_settings(buckets=folders("s3://allowed/in"), log_content=log_content)
    started = time.process_time()
    response = allowing(document, request_id="r-4", **about)
    assert time.process_time() - started < 2
    error = response.document()["error"]
    assert 400 <= response.status < 500
    assert response.status == STATUS[error["code"]]
    assert error["code"] == code or (
        code is None and error["code"] in ("bad_setting", "bad_request")
    )
    assert error["request_id"] == response.headers["x-heliochrome-request-id"] == "r-4"
    assert set(error) == {"code", "message", "request_id"}
    assert 10 < len(error["message"]) < 600
    assert "/tmp/" not in error["message"]


def folders(*addresses: str) -> Any:
    from heliochrome.handlers.variables import folders as read

    return read("HELIOCHROME_BUCKETS", ",".join(addresses))


def test_the_nearest_field_is_named(ask: Caller) -> None:
    for document, near in (
        ({**GOOD, "num_inference_step": 2}, "num_inference_steps"),
        ({**GOOD, "imge": PICTURE}, "image"),
        ({"image": PICTURE, "saturatoin": 1}, "saturation"),
        ({**GOOD, "taks": "inpaint"}, "task"),
    ):
        assert f"did you mean {near}?" in ask(document).document()["error"]["message"]


def test_a_405_says_what_is_allowed(ask: Caller) -> None:
    assert ask(GOOD, method="PUT").headers["allow"] == "POST"


def test_after_all_bad_requests_a_good_one_is_bit_identical(ask: Caller) -> None:
    before = pixels_in(ask(GOOD_REQUEST))
    for _, body, _ in BAD:
        assert 400 <= ask(body).status < 500
        assert pixels_in(ask(GOOD_REQUEST)) == before
    for _, body, about, _ in HTTP:
        assert 400 <= ask(body, **about).status < 500
    assert pixels_in(ask(GOOD_REQUEST)) == before
    assert len(BAD) + len(HTTP) >= 40


def test_what_is_in_the_table_is_json() -> None:
    for _, body, _ in BAD:
        json.dumps(body)
