"""Which files are weights, and how to tell one from what is often found under its name."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Final

from .errors import BadWeights

CHECKPOINT_SUFFIXES: Final = (".safetensors", ".pth", ".pt", ".bin")
ONNX_SUFFIX: Final = ".onnx"
SUFFIXES: Final = (*CHECKPOINT_SUFFIXES, ONNX_SUFFIX)  # in the order they are looked for

_HEAD_BYTES: Final = 512
_WEB_PAGE: Final = (b"<!doctype", b"<html", b"<?xml", b"<head", b'{"error')
_OPENVINO_GRAPH: Final = (".xml", b"<net")  # how OpenVINO's own format ends and begins
_LFS_POINTER: Final = b"version https://git-lfs.github.com/spec/"


def refuse_impostor(path: Path, name: str) -> None:
    """Raise `BadWeights` for an empty file, a web page, a Git LFS pointer, a cut-off archive.

    `name` is what the message calls the file (a path or an address). Whether the content
    is a DDColor network is not looked at here.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise BadWeights(f"{name} cannot be read: {error.strerror}.") from error
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        raise BadWeights(f"{name} is empty (0 bytes). Download or copy it again.")
    if head.startswith(_LFS_POINTER):
        raise BadWeights(
            f"{name} is a Git LFS pointer, a short text that stands for the real file. "
            "Fetch the file itself with `git lfs pull`, or download it in the browser."
        )
    suffix, mark = _OPENVINO_GRAPH
    graph = name.lower().endswith(suffix) and mark in start
    if start.startswith(_WEB_PAGE) and not graph:
        raise BadWeights(
            f"{name} is a web page, not model weights; most likely a login or an error page "
            "was saved. Download it again."
        )
    if head.startswith(b"PK\x03\x04") and not zipfile.is_zipfile(path):
        raise BadWeights(f"{name} is incomplete: its end is missing. Download or copy it again.")
