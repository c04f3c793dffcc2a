"""The notes in an ONNX file, read without any runtime: what it was exported from, and how."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Final

from .errors import BadWeights

SOURCE_KEY: Final = "heliochrome_source_sha256"  # digest of the checkpoint
NETWORK_KEY: Final = "heliochrome_network"  # JSON of the network's widths and depths
PRECISION_KEY: Final = "heliochrome_precision"  # "int8" in a quantised model; absent: "f32"

# Field numbers of ModelProto and StringStringEntryProto (onnx.proto) and protobuf's wire types.
_METADATA_PROPS: Final = 14
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_VARINT_BYTES: Final = 10
_MOST_BYTES: Final = 1 << 20  # of one note


def read_metadata(path: Path) -> dict[str, str]:
    """`metadata_props` of an ONNX model. Skips over the weights, so it takes no time.

    Raises BadWeights if this is no whole ONNX file.
    """
    size, notes = path.stat().st_size, {}
    try:
        with path.open("rb") as file:
            while file.tell() < size:
                field, kind = divmod(_varint(file), 8)
                if kind != _BYTES:
                    _skip(file, kind)
                    continue
                length = _varint(file)
                if length > size - file.tell():
                    raise ValueError("it ends too early")
                if field != _METADATA_PROPS:
                    file.seek(length, 1)
                    continue
                key, value = _entry(file, length)
                notes[key] = value
    except (ValueError, EOFError) as error:
        raise unreadable(path, f" ({error})") from error
    return notes


def unreadable(path: Path, why: str = "") -> BadWeights:
    """The error of a file that is no ONNX model, or a damaged one."""
    return BadWeights(f"{path} is not a readable ONNX model{why}: export it again.")


def _entry(file: BinaryIO, length: int) -> tuple[str, str]:
    if length > _MOST_BYTES:
        raise ValueError("a note is too long")
    end, texts = file.tell() + length, {1: "", 2: ""}
    while file.tell() < end:
        field, kind = divmod(_varint(file), 8)
        if kind != _BYTES:
            raise ValueError("a note is damaged")
        part = _varint(file)
        if part > end - file.tell():
            raise ValueError("a note is damaged")
        texts[field] = file.read(part).decode()
    return texts[1], texts[2]


def _varint(file: BinaryIO) -> int:
    value = 0
    for i in range(_VARINT_BYTES):
        byte = file.read(1)
        if not byte:
            raise EOFError("it ends too early")
        value |= (byte[0] & 0x7F) << (7 * i)
        if byte[0] < 0x80:
            return value
    raise ValueError("a number is too long")


def _skip(file: BinaryIO, kind: int) -> None:
    if kind == _VARINT:
        _varint(file)
    elif kind in (_FIXED64, _FIXED32):
        file.seek(8 if kind == _FIXED64 else 4, 1)
    else:
        raise ValueError("an unknown kind of field")
