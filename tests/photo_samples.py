"""Photographs for tests, made by other writers than ours: by hand, Pillow, tifffile and OpenCV."""

from __future__ import annotations

import struct
import zlib
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from heliochrome.core.provenance import Provenance

CHINESE = "上海外滩，一九三五年"
MAKER_NOTE = b"MAKER\0\1\2" + bytes(range(200))
THUMBNAIL = b"\xff\xd8\xff\xe0thumbnail of the grey picture\xff\xd9"
IPTC = b"\x1c\x02\x78\x00\x07caption" + b"\x1c\x02\x50\x00\x06byline"
XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    ' xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6">'
    '<dc:title><rdf:Alt><rdf:li xml:lang="zh">' + CHINESE + "</rdf:li></rdf:Alt></dc:title>"
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
    '<?xpacket end="w"?>'
).encode()
PROVENANCE = Provenance(
    kind="colorization",
    model="ddcolor_v2",
    model_sha256="ab" * 32,
    parameters={"size": 512, "strength": 1.0, "reference": False, "chroma_guide": "nearest"},
    notices=("size-reduced: 尺寸减小",),
    when=datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
)


def noise(height: int, width: int, channels: int = 3, dtype: type = np.uint8) -> np.ndarray:
    """Values that no filter or colour space leaves alone by chance."""
    top = np.iinfo(dtype).max
    shape = (height, width, channels) if channels else (height, width)
    return np.random.default_rng(7).integers(0, top + 1, shape).astype(dtype)


def smooth(height: int, width: int) -> np.ndarray:
    """(H, W, 3) uint8 with soft gradients, so that JPEG and WebP stay close to it."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack(
        [x * 255 // width, y * 255 // height, (x + y) * 127 // (height + width)], -1
    ).astype(np.uint8)


def exif_block(
    orientation: int,
    order: str = "<",
    thumbnail: bytes = THUMBNAIL,
    more: tuple[tuple[int, int, bytes], ...] = (),
) -> bytes:
    """A whole EXIF block: description, copyright, sub-tables with maker note and GPS, thumbnail.

    Written by hand. more: further tags (number, type, bytes) of the first table.
    """
    ascii_, short, long_, rational, undefined, byte = 2, 3, 4, 5, 7, 1

    def rationals(*pairs: tuple[int, int]) -> bytes:
        return b"".join(struct.pack(order + "II", *pair) for pair in pairs)

    gps = [
        (0, byte, b"\2\3\0\0"),
        (1, ascii_, b"N\0"),
        (2, rational, rationals((31, 1), (14, 1), (1234, 100))),
        (3, ascii_, b"E\0"),
        (4, rational, rationals((121, 1), (29, 1), (2512, 100))),
    ]
    exif = [
        (33434, rational, rationals((1, 125))),
        (36867, ascii_, b"1935:05:01 12:00:00\0"),
        (37500, undefined, MAKER_NOTE),
        (
            37510,
            undefined,
            b"UNICODE\0" + "注释".encode("utf-16-le" if order == "<" else "utf-16-be"),
        ),
        (40962, long_, struct.pack(order + "I", 40)),
        (40963, long_, struct.pack(order + "I", 20)),
    ]
    main = [
        (270, ascii_, CHINESE.encode() + b"\0"),
        (271, ascii_, b"Leica\0"),
        (272, ascii_, b"Standard\0"),
        (274, short, struct.pack(order + "H", orientation)),
        (282, rational, rationals((600, 1))),
        (283, rational, rationals((300, 1))),
        (296, short, struct.pack(order + "H", 2)),
        (306, ascii_, b"2001:02:03 04:05:06\0"),
        (315, ascii_, b"Someone\0"),
        (33432, ascii_, b"Public domain\0"),
        (34665, long_, None),
        (34853, long_, None),
        (50000, undefined, b"a tag nobody knows"),
    ]
    main = sorted([*main, *more])
    blob = bytearray((b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8))

    def write_table(tags: list, following: bool) -> dict[int, int]:
        start = len(blob)
        size = 2 + 12 * len(tags) + 4
        blob.extend(b"\0" * size)
        struct.pack_into(order + "H", blob, start, len(tags))
        slots = {}
        sizes = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}
        for index, (tag, kind, data) in enumerate(tags):
            at = start + 2 + 12 * index
            data = data if data is not None else b"\0\0\0\0"
            struct.pack_into(order + "HHI", blob, at, tag, kind, len(data) // sizes[kind])
            slots[tag] = at + 8
            if len(data) > 4:
                struct.pack_into(order + "I", blob, at + 8, len(blob))
                blob.extend(data + b"\0" * (len(data) % 2))
            else:
                blob[at + 8 : at + 8 + len(data)] = data
        slots[-1] = start + size - 4
        return slots

    top = write_table(main, True)
    struct.pack_into(order + "I", blob, top[34665], len(blob))
    write_table(exif, False)
    struct.pack_into(order + "I", blob, top[34853], len(blob))
    write_table(gps, False)
    if thumbnail:
        struct.pack_into(order + "I", blob, top[-1], len(blob))
        second = write_table(
            [(259, short, struct.pack(order + "H", 6)), (513, long_, None), (514, long_, None)],
            False,
        )
        struct.pack_into(order + "I", blob, second[513], len(blob))
        struct.pack_into(order + "I", blob, second[514], len(thumbnail))
        blob.extend(thumbnail)
    return bytes(blob)


def tiff_file(
    pixels: np.ndarray, orientation: int, order: str, *more: tuple[int, int, bytes]
) -> bytes:
    """An uncompressed 8-bit RGB TIFF with everything `exif_block` has in its own tables."""
    height, width, _ = pixels.shape

    def short(*values: int) -> bytes:
        return struct.pack(f"{order}{len(values)}H", *values)

    def number(value: int) -> bytes:
        return struct.pack(order + "I", value)

    structure = (
        (256, 3, short(width)), (257, 3, short(height)), (258, 3, short(8, 8, 8)),
        (259, 3, short(1)), (262, 3, short(2)), (273, 4, b"????"), (277, 3, short(3)),
        (278, 3, short(height)), (279, 4, number(pixels.nbytes)),
    )  # fmt: skip
    block = exif_block(orientation, order, b"", more=(*structure, *more))
    return block.replace(b"????", number(len(block)), 1) + pixels.tobytes()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def hand_made_png(
    width: int, height: int, bits: int, colour_type: int, rows: bytes, *chunks: bytes
) -> bytes:
    """A PNG from bytes; `rows` with the filter byte in front of each row."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + b"".join(chunks)
        + png_chunk(b"IDAT", zlib.compress(rows))
        + png_chunk(b"IEND", b"")
    )


def insert_png_chunks(path: Path, *chunks: bytes) -> None:
    """Put chunks right behind the header of an existing PNG."""
    data = path.read_bytes()
    path.write_bytes(data[:33] + b"".join(chunks) + data[33:])


def insert_jpeg_segments(path: Path, *segments: tuple[int, bytes]) -> None:
    """Put marker segments right behind the start of an existing JPEG."""
    data = path.read_bytes()
    packed = b"".join(struct.pack(">BBH", 0xFF, m, len(d) + 2) + d for m, d in segments)
    path.write_bytes(data[:2] + packed + data[2:])


def image_resource(kind: int, data: bytes) -> bytes:
    return b"8BIM" + struct.pack(">HHI", kind, 0, len(data)) + data + b"\0" * (len(data) % 2)


_D50 = (0.9642, 1.0, 0.8249)
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
PROPHOTO = ((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82491))
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141))


def rgb_profile(primaries: tuple, gamma: float) -> bytes:
    """A matrix profile; primaries are the XYZ (D50) of red, green and blue."""
    tags = {
        name: _xyz(value)
        for name, value in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)
    }
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _gamma(gamma))
    return _profile(b"RGB ", tags)


def grey_profile(gamma: float) -> bytes:
    return _profile(b"GRAY", {b"kTRC": _gamma(gamma)})


def lut_profile() -> bytes:
    """An input profile of the table kind: RGB to Lab through a grid of 2, with no way back."""
    head = b"mft1\0\0\0\0" + bytes((3, 3, 2, 0))
    head += b"".join(_s15(v) for v in (1, 0, 0, 0, 1, 0, 0, 0, 1))
    ramp = bytes(range(256))
    grid = bytearray()
    for r in (0, 1):
        for g in (0, 1):
            for b in (0, 1):
                grid += bytes(
                    (
                        round(255 * (0.2 * r + 0.7 * g + 0.1 * b)),
                        128 + 60 * (r - g),
                        128 + 60 * (g - b),
                    )
                )
    return _profile(b"RGB ", {b"A2B0": head + ramp * 3 + bytes(grid) + ramp * 3}, b"scnr", b"Lab ")


def _s15(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _xyz(value: tuple) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(_s15(v) for v in value)


def _gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256)) + b"\0\0"


def _profile(space: bytes, tags: dict, device: bytes = b"mntr", pcs: bytes = b"XYZ ") -> bytes:
    name = b"Test\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + b"\0" * 78,
        b"cprt": b"text\0\0\0\0CC0\0",
        b"wtpt": _xyz(_D50),
        **tags,
    }
    body, table = bytearray(), struct.pack(">I", len(tags))
    start = 128 + 4 + 12 * len(tags)
    for tag, data in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"\0" * 4, 0x02400000, device, space, pcs)
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28
    head += b"".join(_s15(v) for v in _D50)
    return head.ljust(128, b"\0") + table + bytes(body)
