"""Uploads: one picture that is one, into one's own folder, and nothing else reaches the host."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from browsing import Answer
from door import Door, running_door
from PIL import Image
from toy_comfyui import Toy, running_toy

PIXELS = 1_000_000
BYTES = 3_000_000


@pytest.fixture(scope="module")
def toy() -> Iterator[Toy]:
    with running_toy() as toy:
        yield toy


@pytest.fixture(scope="module")
def door(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("gateway")
    limits = {"max_image_pixels": PIXELS, "max_upload_bytes": BYTES}
    with running_door(folder, toy.address, **limits) as door:
        yield door


def picture(kind: str = "PNG", size: tuple[int, int] = (30, 20), frames: int = 1) -> bytes:
    file = io.BytesIO()
    pages = [Image.new("RGB", size, (index * 9 % 256, 80, 90)) for index in range(frames)]
    many: dict[str, Any] = {"save_all": True, "append_images": pages[1:]} if frames > 1 else {}
    pages[0].save(file, kind, **many)
    return file.getvalue()


def png_that_claims(width: int, height: int) -> bytes:
    """A few bytes that would be a picture of any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
            + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""))  # fmt: skip


def send(
    door: Door,
    content: bytes,
    name: str = "grandmother.png",
    who: str = "ben",
    path: str = "/comfyui/upload/image",
    field: str = "image",
    **fields: str,
) -> Answer:
    mark = "a-boundary"
    body = b"".join(
        f'--{mark}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    )
    body += (f'--{mark}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
             "Content-Type: image/png\r\n\r\n").encode()  # fmt: skip
    body += content + f"\r\n--{mark}--\r\n".encode()
    return door.ask(who, "POST", path, body, Content_Type=f"multipart/form-data; boundary={mark}")


@pytest.mark.parametrize("path", ["/comfyui/upload/image", "/comfyui/api/upload/image"])
def test_a_picture_goes_into_the_users_folder(door: Door, toy: Toy, path: str):
    toy.seen()
    content = picture()
    answer = send(door, content, path=path, overwrite="true", type="input")
    assert json.loads(answer.text) == {
        "name": "grandmother.png", "subfolder": "user-ben", "type": "input",
    }  # fmt: skip
    (seen,) = toy.seen()
    assert seen["fields"] == {"type": "input", "subfolder": "user-ben", "overwrite": "true"}
    assert (seen["file"], seen["size"]) == ("grandmother.png", len(content))


def test_what_was_taken_is_in_the_record_without_the_picture(door: Door):
    send(door, picture("JPEG"), "a.jpg")
    line = [line for line in door.record() if line["kind"] == "upload"][-1]
    assert (line["user"], line["file"], line["outcome"]) == ("ben", "user-ben/a.jpg", "taken")
    assert (line["format"], line["width"], line["height"]) == ("JPEG", 30, 20)
    assert len(line["sha256"]) == 64


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"])
def test_every_format_of_photographs_is_taken(door: Door, kind: str):
    assert send(door, picture(kind)).status == 200


def test_a_name_is_made_harmless_and_gets_the_ending_of_its_content(door: Door, toy: Toy):
    toy.seen()
    cases = {
        "page.html": "page_html.png",
        "../../etc/passwd": "passwd.png",
        "..\\..\\boot.ini": "boot_ini.png",
        "a.PNG": "a.PNG",
        ".png": "photo.png",
        "..": "photo.png",
        "奶奶.jpg": "奶奶_jpg.png",
        "x" * 300 + ".png": "x" * 100 + ".png",
        "a;b$(c).png": "a_b_(c).png",
        "C:evil.png": "C_evil.png",
    }
    for name in cases:
        assert send(door, picture(), name).status == 200, name
    assert [entry["file"] for entry in toy.seen()] == list(cases.values())


def test_the_frontends_own_folders_are_below_the_users(door: Door, toy: Toy):
    toy.seen()
    for subfolder in ("clipspace", "pasted", "user-ben", "user-ben/old"):
        assert send(door, picture(), subfolder=subfolder).status == 200
    below = [entry["fields"]["subfolder"] for entry in toy.seen()]
    assert below == ["user-ben/clipspace", "user-ben/pasted", "user-ben", "user-ben/old"]


HALF = picture(size=(300, 200))
REFUSED = {
    "text": ({"content": b"hello, I am a photograph"}, 415),
    "empty": ({"content": b""}, 415),
    "html": ({"content": b"<html><script>alert(1)</script>"}, 415),
    "zip": ({"content": b"PK\x03\x04" + bytes(2000)}, 415),
    "svg": ({"content": b'<svg xmlns="http://www.w3.org/2000/svg"/>'}, 415),
    "postscript": ({"content": b"%!PS-Adobe-3.0 EPSF-3.0\n"}, 415),
    "truncated": ({"content": HALF[: len(HALF) // 2]}, 415),
    "only a head": ({"content": HALF[:40]}, 415),
    "bomb": ({"content": png_that_claims(60_000, 60_000)}, 413),
    "not what it claims": ({"content": png_that_claims(900, 900)}, 415),
    "too many pixels": ({"content": picture(size=(1001, 1000))}, 413),
    "too many frames": ({"content": picture("GIF", (400, 400), 8)}, 413),
    "too many bytes": ({"content": bytes(BYTES + 1)}, 413),
    "type output": ({"content": picture(), "type": "output"}, 400),
    "type temp": ({"content": picture(), "type": "temp"}, 400),
    "another's folder": ({"content": picture(), "subfolder": "user-eve"}, 404),
    "any folder": ({"content": picture(), "subfolder": "somewhere"}, 404),
    "parent folder": ({"content": picture(), "subfolder": "user-ben/../user-eve"}, 400),
    "unknown field": ({"content": picture(), "evil": "1"}, 400),
    "no picture": ({"content": picture(), "field": "file"}, 400),
    "viewer": ({"content": picture(), "who": "vic"}, 403),
    "mask of another's": (
        {"content": picture(), "path": "/comfyui/upload/mask",
             "original_ref": json.dumps({"filename": "a.png", "subfolder": "user-eve"})},
        404,
    ),
    "mask of nothing": ({"content": picture(), "path": "/comfyui/upload/mask"}, 400),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_does_not_reach_the_host(door: Door, toy: Toy, case: str):
    toy.seen()
    given, status = REFUSED[case]
    answer = send(door, **given)
    assert answer.status == status, answer.text
    assert toy.seen() == []
    assert json.loads(answer.text)["error"]["message"]


def test_a_mask_is_for_a_picture_of_the_users(door: Door, toy: Toy):
    toy.seen()
    ref = json.dumps({"filename": "clipspace/a.png [input]", "type": "output"})
    answer = send(door, picture(), path="/comfyui/upload/mask", original_ref=ref)
    assert answer.status == 200, answer.text
    (seen,) = toy.seen()
    assert json.loads(seen["fields"]["original_ref"]) == {
        "filename": "a.png", "subfolder": "user-ben/clipspace", "type": "input",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{}", "application/json"),
        (b"--x\r\n", "multipart/form-data; boundary=y"),
        (b"", "multipart/form-data"),
        (b"--x\r\nContent-Disposition: form-data; name=", "multipart/form-data; boundary=x"),
    ],
)
def test_a_damaged_form_is_refused(door: Door, toy: Toy, body: bytes, kind: str):
    toy.seen()
    answer = door.ask("ben", "POST", "/comfyui/upload/image", body, Content_Type=kind)
    assert answer.status == 400, answer.text
    assert toy.seen() == []
