"""Thirty things users get wrong: each is one clear error, and no file."""

from __future__ import annotations

import io
import os
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from heliochrome.cli import main
from heliochrome.core.sample import draw_sample

Maker = Callable[[Path], None]


def _encoded(kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(draw_sample()[:200, :300]).save(out, kind, **options)
    return out.getvalue()


def _png_of(width: int, height: int) -> bytes:
    """A PNG whose header promises far more than it holds."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    chunks = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _bytes(data: bytes) -> Maker:
    return lambda path: path.write_bytes(data) and None


def _without_permission(path: Path) -> None:
    path.write_bytes(_encoded("JPEG"))
    path.chmod(0)


def _two_thirds(kind: str, **options: object) -> Maker:
    data = _encoded(kind, **options)
    return _bytes(data[: len(data) * 2 // 3])


# name of the file, how it is made, what the error must say
FILES: list[tuple[str, Maker, str]] = [
    ("empty.jpg", _bytes(b""), "empty"),
    ("text.jpg", _bytes(b"Dear aunt, here is the photograph."), "expected|not a photograph"),
    ("page.jpg", _bytes(b"<!DOCTYPE html><html>404</html>"), "expected|not a photograph"),
    ("document.pdf.jpg", _bytes(b"%PDF-1.7\n%%EOF"), "expected|not a photograph"),
    (
        "drawing.png",
        _bytes(b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        "expected|not a photograph",
    ),
    ("archive.tif", _bytes(b"PK\x03\x04" + b"\0" * 60), "expected|not a photograph"),
    ("zeros.png", _bytes(b"\0" * 4096), "expected|not a photograph"),
    ("cut.jpg", _two_thirds("JPEG"), "damaged|truncated|incomplete"),
    ("cut.png", _two_thirds("PNG"), "damaged|truncated|incomplete"),
    ("cut.tif", _two_thirds("TIFF", compression="tiff_lzw"), "damaged|truncated|incomplete"),
    ("cut.webp", _two_thirds("WEBP"), "damaged|truncated|incomplete"),
    ("header only.jpg", _bytes(_encoded("JPEG")[:20]), "damaged|truncated|incomplete"),
    ("signature only.png", _bytes(b"\x89PNG\r\n\x1a\n"), "damaged|truncated|incomplete"),
    ("bomb.png", _bytes(_png_of(100_000, 100_000)), "pixels"),
    ("promise.png", _bytes(_png_of(3000, 2000)), "damaged|truncated|incomplete"),
    ("no width.png", _bytes(_png_of(0, 10)), "damaged|truncated|incomplete|pixels"),
    ("folder.jpg", lambda path: path.mkdir(), "no photographs"),
    ("pipe.jpg", lambda path: os.mkfifo(path), "file"),
    ("broken link.jpg", lambda path: path.symlink_to("nowhere"), "no such file"),
    ("missing.jpg", lambda path: None, "no such file"),
    (
        "float.tif",
        lambda path: Image.fromarray(np.full((4, 4), np.nan, np.float32)).save(path),
        "float|finite|number|expected",
    ),
]


@pytest.mark.usefixtures("with_model")
@pytest.mark.parametrize(("name", "make", "says"), FILES, ids=[name for name, *_ in FILES])
def test_bad_files(
    name: str, make: Maker, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "in" / name
    path.parent.mkdir()
    make(path)
    complaint = _refused(["colorize", str(path)], says, tmp_path / "out", capsys)
    assert name in complaint


@pytest.mark.usefixtures("with_model")
@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "secret.jpg"
    _without_permission(path)
    _refused(["colorize", str(path)], "permission|read", tmp_path / "out", capsys)


# the arguments beside a good photograph, what the error must say
ARGUMENTS: list[tuple[list[str], str]] = [
    (["--size", "100"], "size must be a number from 256 to 1280"),
    (["--size", "4000"], "size must be a number from 256 to 1280"),
    (["--size", "big"], "--size"),
    (["--strength", "2"], "strength"),
    (["--strength", "nan"], "strength"),
    (["--saturation", "-1"], "saturation"),
    (["--preset", "landscape"], "--preset"),
    (["--model", "ddcolor_v9"], "neither a model id"),
    (["--model", "ddcolor_v1"], "heliochrome models get ddcolor_v1"),
    (["--backend", "caffe"], "--backend"),
    (["--backend", "tensorrt"], "pip install"),
    (["--device", "cuda"], "cuda"),
    (["--chroma-guide", "magic"], "--chroma-guide"),
    (["--reference-mode", "--strength", "0.5"], "no effect"),
    (["--model", "/nowhere/own.pth"], "neither a model id"),
    (["--model", "~nosuchuser/own.pth"], "no home folder"),
    (["--reference", "~nosuchuser/colour.png"], "no home folder"),
    (["~nosuchuser/photo.png"], "no home folder"),
]


@pytest.mark.usefixtures("with_model")
@pytest.mark.parametrize(("extra", "says"), ARGUMENTS, ids=[" ".join(a) for a, _ in ARGUMENTS])
def test_bad_arguments(
    extra: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(_encoded("JPEG"))
    _refused(["colorize", str(photo), *extra], says, tmp_path / "out", capsys)


@pytest.mark.usefixtures("with_model")
def test_results_never_go_over_or_among_the_originals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    photo = folder / "photo.jpg"
    photo.write_bytes(_encoded("JPEG"))
    before = photo.read_bytes()
    assert main(["colorize", str(folder), "-o", str(folder)]) == 2
    assert "among the originals" in capsys.readouterr().err
    assert main(["colorize", str(photo), "-o", str(folder), "--overwrite"]) == 1
    assert "never overwritten" in capsys.readouterr().err
    beside = folder / "album/photo.jpg"  # an original, where a result would go
    beside.parent.mkdir()
    beside.write_bytes(_encoded("JPEG", quality=40))
    kept = beside.read_bytes()
    assert main(["colorize", str(photo), "-o", str(beside.parent), "--overwrite"]) == 1
    assert "was not made by Heliochrome" in capsys.readouterr().err
    assert beside.read_bytes() == kept
    beside.unlink()
    beside.parent.rmdir()
    other = tmp_path / "other/photo.JPG"
    other.parent.mkdir()
    other.write_bytes(before)
    assert main(["colorize", str(photo), str(other), "-o", str(tmp_path / "out")]) == 2
    assert "both become" in capsys.readouterr().err
    assert main(["colorize", str(photo), "-o", str(photo)]) == 2
    assert "name a folder" in capsys.readouterr().err
    assert photo.read_bytes() == before
    assert list(folder.iterdir()) == [photo]
    assert not (tmp_path / "out").exists()


def _refused(command: list[str], says: str, out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run the command; it must fail with one error that says so, and leave no file."""
    try:
        code = main([*command, "-o", str(out)])
    except SystemExit as stop:  # argparse
        code = int(str(stop.code))
    complaint = capsys.readouterr().err
    assert code in (1, 2)
    assert re.search(says, complaint, re.IGNORECASE), complaint
    assert "Traceback" not in complaint
    lines = [line for line in complaint.splitlines() if "error" in line or ": " in line]
    errors = [line for line in lines if not line.startswith(("usage:", "heliochrome: backend:"))]
    assert len(errors) == 1, complaint
    left = [path for path in out.rglob("*") if path.is_file()] if out.exists() else []
    assert left == []
    return complaint
