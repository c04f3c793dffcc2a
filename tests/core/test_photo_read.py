"""Reading: every kind of file a user has, and every file that is not a photograph."""

import os
import struct
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from heliochrome.core.errors import BadImage
from heliochrome.core.extent import Extent
from heliochrome.core.photo import default_suffix, exif, inspect, read_photo
from heliochrome.core.photo.ifd import MalformedIfd
from photo_samples import (
    CHINESE,
    exif_block,
    hand_made_png,
    insert_jpeg_segments,
    noise,
    png_chunk,
    smooth,
)


def test_importing_loads_no_runtime():
    code = (
        "import sys, heliochrome.core.photo as p, heliochrome.core.provenance;"
        "print([m for m in ('pyvips', 'tifffile', 'PIL.Image', 'cv2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def grey_of(values):
    return np.repeat(values[..., None], 3, axis=2)


PILLOW_CASES = [
    ("1", ".png"), ("1", ".tif"), ("1", ".bmp"), ("L", ".png"), ("L", ".tif"), ("L", ".jpg"),
    ("L", ".bmp"), ("L", ".gif"), ("P", ".png"), ("P", ".tif"), ("P", ".gif"), ("P", ".bmp"),
    ("RGB", ".png"), ("RGB", ".tif"), ("RGB", ".jpg"), ("RGB", ".webp"), ("RGB", ".bmp"),
    ("LA", ".png"), ("LA", ".tif"), ("RGBA", ".png"), ("RGBA", ".tif"), ("RGBA", ".webp"),
    ("RGBA", ".bmp"),
]  # fmt: skip


@pytest.mark.parametrize(("mode", "suffix"), PILLOW_CASES)
def test_every_mode_reads_as_pillow_reads_it(tmp_path, mode, suffix):
    source = Image.fromarray(noise(9, 13, 4), "RGBA").convert("RGB" if mode in "1LP" else "RGBA")
    path = tmp_path / f"picture{suffix}"
    options = {"lossless": True, "exact": True} if suffix == ".webp" else {}
    source.convert(mode).save(path, **options)
    photo = read_photo(path)
    with Image.open(path) as reference:
        has_alpha = "A" in reference.mode
        expected = np.asarray(reference.convert("RGBA" if has_alpha else "RGB"))
    # Two JPEG decoders may round differently.
    tolerance = 2 if suffix == ".jpg" else 0
    assert photo.pixels.dtype == np.uint8
    assert photo.bit_depth == 8
    assert np.abs(photo.pixels.astype(int) - expected[..., :3]).max() <= tolerance
    assert (photo.alpha is None) == (not has_alpha)
    if has_alpha:
        assert np.array_equal(photo.alpha, expected[..., 3])
    assert photo.metadata.icc is None


@pytest.mark.parametrize("channels", [0, 2, 3, 4])
@pytest.mark.parametrize("writer", ["tiff", "tiff-big-endian", "bigtiff", "tiff-planar", "png"])
def test_sixteen_bits_stay_exact(tmp_path, writer, channels):
    values = noise(11, 7, channels, np.uint16)
    path = tmp_path / f"deep.{writer[:3]}"
    if writer == "png":
        kind, bands = {0: (0, 1), 2: (4, 2), 3: (2, 3), 4: (6, 4)}[channels]
        rows = values.reshape(11, 7 * bands).astype(">u2")
        raw = b"".join(b"\0" + row.tobytes() for row in rows)
        path.write_bytes(hand_made_png(7, 11, 16, kind, raw))
    else:
        options = {
            "photometric": "rgb" if channels >= 3 else "minisblack",
            "extrasamples": [2] if channels in (2, 4) else None,
            "planarconfig": "contig" if channels else None,
        }
        stored = values
        if writer == "tiff-planar" and channels:
            stored, options["planarconfig"] = (
                np.ascontiguousarray(np.moveaxis(values, -1, 0)),
                "separate",
            )
        order = ">" if writer == "tiff-big-endian" else "<"
        tifffile.imwrite(path, stored, byteorder=order, bigtiff=writer == "bigtiff", **options)
    if writer == "tiff-planar" and channels == 2:
        fails_with(path, "separate planes")  # libvips would give a scrambled picture
        return
    photo = read_photo(path)
    assert photo.pixels.dtype == np.uint16
    assert photo.bit_depth == 16
    colour = grey_of(values) if channels == 0 else values[..., : channels - (channels % 2 == 0)]
    assert np.array_equal(photo.pixels, np.broadcast_to(colour, photo.pixels.shape))
    if channels in (2, 4):
        assert np.array_equal(photo.alpha, values[..., -1])
    else:
        assert photo.alpha is None


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_span_the_whole_range(tmp_path, bits):
    levels = np.arange(2**bits, dtype=np.uint8)
    packed = np.packbits(np.unpackbits(levels[:, None], axis=1)[:, -bits:])
    path = tmp_path / "few.png"
    path.write_bytes(hand_made_png(len(levels), 1, bits, 0, b"\0" + packed.tobytes()))
    photo = read_photo(path)
    assert photo.pixels[0, :, 0].tolist() == [
        round(v * 255 / (2**bits - 1)) for v in levels.tolist()
    ]


def test_opencv_writes_what_we_read(tmp_path):
    values = noise(8, 9, 3, np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), values[..., ::-1])
    assert np.array_equal(read_photo(tmp_path / "a.png").pixels, values)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_min_is_white_is_inverted(tmp_path, dtype):
    values = noise(6, 5, 0, dtype)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="miniswhite")
    assert np.array_equal(
        read_photo(tmp_path / "a.tif").pixels[..., 0], np.iinfo(dtype).max - values
    )


@pytest.mark.parametrize(
    "compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"]
)
def test_tiff_compressions(tmp_path, compression):
    options = {"quality": 95} if compression == "jpeg" else {}
    Image.fromarray(smooth(32, 48)).save(tmp_path / "a.tif", compression=compression, **options)
    difference = read_photo(tmp_path / "a.tif").pixels.astype(int) - smooth(32, 48)
    assert np.abs(difference).max() <= (12 if compression == "jpeg" else 0)


@pytest.mark.parametrize("progressive", [False, True])
def test_cmyk_is_read_as_srgb(tmp_path, progressive):
    inks = np.zeros((16, 32, 4), np.uint8)
    inks[:, 16:, 3] = 255  # the right half is black
    Image.fromarray(inks, "CMYK").save(tmp_path / "a.jpg", quality=95, progressive=progressive)
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.pixels[:, :12].min() > 245
    assert photo.pixels[:, 20:].max() < 60
    assert photo.pixels.shape == (16, 32, 3)
    assert any("CMYK" in note for note in photo.notes)
    assert photo.metadata.icc is not None


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_orientation_is_applied(tmp_path, suffix, orientation):
    path = tmp_path / f"turned{suffix}"
    picture = Image.fromarray(smooth(24, 40))
    exif = Image.Exif()
    exif[274] = orientation
    options = {"quality": 95} if suffix == ".jpg" else {}
    if suffix == ".webp":
        options = {"lossless": True}
    if suffix == ".tif":
        options["tiffinfo"] = {274: orientation}
    else:
        options["exif"] = exif
    picture.save(path, **options)
    photo = read_photo(path)
    with Image.open(path) as reference:
        expected = np.asarray(ImageOps.exif_transpose(reference))
    assert photo.pixels.shape == expected.shape
    assert inspect(path) == Extent.of(expected.shape)
    assert np.abs(photo.pixels.astype(int) - expected).max() <= (2 if suffix == ".jpg" else 0)
    assert photo.pixels.flags.c_contiguous
    assert photo.pixels.flags.writeable


def test_alpha_turns_with_the_picture(tmp_path):
    values = noise(5, 9, 4)
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(values, "RGBA").save(tmp_path / "a.png", exif=exif)
    photo = read_photo(tmp_path / "a.png")
    assert np.array_equal(photo.alpha, np.rot90(values[..., 3], -1))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".bmp", ".gif"])
def test_one_pixel(tmp_path, suffix):
    Image.new("RGB", (1, 1), (200, 200, 200)).save(tmp_path / f"a{suffix}")
    photo = read_photo(tmp_path / f"a{suffix}")
    assert photo.pixels.shape == (1, 1, 3)
    assert inspect(tmp_path / f"a{suffix}") == Extent(1, 1)
    assert np.abs(photo.pixels.astype(int) - 200).max() <= 3


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        ("JPEG", ".jpg"),
        ("PNG", ".png"),
        ("TIFF", ".tif"),
        ("WEBP", ".webp"),
        ("BMP", ".png"),
        ("GIF", ".png"),
    ],
)
def test_the_content_says_what_it_is(tmp_path, kind, suffix):
    path = tmp_path / f"{CHINESE}.dat"
    Image.fromarray(smooth(8, 8)).save(path, format=kind)
    assert default_suffix(read_photo(path)) == suffix


def test_a_name_that_is_not_unicode(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.png")
    try:
        Image.new("L", (3, 2)).save(path)
    except OSError as error:
        pytest.skip(f"the file system does not take such names: {error}")
    assert read_photo(path).pixels.shape == (2, 3, 3)


def test_a_file_changed_under_the_same_name_is_read_again(tmp_path):
    for value in (10, 200):
        Image.new("L", (4, 4), value).save(tmp_path / "a.png")
        assert read_photo(tmp_path / "a.png").pixels.max() == value


def test_more_pages_are_said(tmp_path):
    pages = [Image.fromarray(noise(6, 6) // (n + 1)) for n in range(3)]
    for name, options in (
        ("a.tif", {}),
        ("a.gif", {}),
        ("a.webp", {"lossless": True}),
        ("a.png", {}),
    ):
        pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:], **options)
        photo = read_photo(tmp_path / name)
        assert photo.pixels.shape == (6, 6, 3), name
        assert any("first" in note for note in photo.notes), name


def test_a_thumbnail_in_a_tiff_is_not_a_page(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(noise(8, 8), photometric="rgb")
        writer.write(noise(2, 2), photometric="rgb", subfiletype=1)
    assert read_photo(tmp_path / "a.tif").notes == ()


def test_further_pictures_in_a_jpeg_are_said(tmp_path):
    Image.fromarray(smooth(8, 8)).save(tmp_path / "a.jpg")
    insert_jpeg_segments(tmp_path / "a.jpg", (0xE2, b"MPF\0II*\0\x08\0\0\0\0\0"))
    assert any("MPF" in note for note in read_photo(tmp_path / "a.jpg").notes)


def test_content_credentials_are_said(tmp_path):
    Image.fromarray(smooth(8, 8)).save(tmp_path / "a.jpg")
    insert_jpeg_segments(tmp_path / "a.jpg", (0xEB, b"JP\0\1\0\0\0\1jumb"))
    assert any("content credentials" in note for note in read_photo(tmp_path / "a.jpg").notes)


def test_extra_channels_are_said(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", noise(6, 6, 5), photometric="rgb", extrasamples=[2, 0])
    photo = read_photo(tmp_path / "a.tif")
    assert photo.alpha is not None
    assert any("extra channels" in note for note in photo.notes)


def test_damaged_exif_is_left_out_and_said(tmp_path):
    Image.fromarray(smooth(8, 8)).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.metadata.exif is None
    assert any("EXIF" in note for note in photo.notes)


def test_every_damage_to_an_exif_block_is_met(tmp_path):
    """One byte at a time, at every place of the tables."""
    whole = exif_block(6)
    for place in range(2, len(whole)):
        for value in (0x00, 0x4C, 0xFF):
            broken = whole[:place] + bytes((value,)) + whole[place + 1 :]
            try:
                exif.make_upright(broken)
                exif.parse(broken, ">")
                exif.dpi_of(broken)
            except MalformedIfd:
                continue


@pytest.mark.parametrize(
    "packet",
    [
        b"<x:xmpmeta",
        b"<nothing/>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><x:xmpmeta xmlns:x="adobe:ns:meta/">&b;</x:xmpmeta>',
    ],
)
def test_malformed_xmp_is_left_out_and_said(tmp_path, packet):
    Image.fromarray(smooth(8, 8)).save(tmp_path / "a.jpg", xmp=packet)
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.metadata.xmp is None
    assert any("XMP" in note for note in photo.notes)


# What is not a photograph, or not a whole one.


def fails_with(path, *words, **options):
    with pytest.raises(BadImage) as caught:
        read_photo(path, **options)
    with pytest.raises(BadImage) as looked:
        inspect(path, **options)
    message = str(caught.value)
    assert str(looked.value) == message
    assert str(path) in message
    for word in words:
        assert word in message, message
    assert "\n" not in message
    return message


def test_not_files_at_all(tmp_path):
    fails_with(tmp_path / "missing.jpg", "no such file")
    fails_with(tmp_path, "a folder")
    (tmp_path / "empty.jpg").touch()
    fails_with(tmp_path / "empty.jpg", "is empty")
    (tmp_path / "text.jpg").write_text("Dear diary, no picture today.")
    fails_with(tmp_path / "text.jpg", "something else")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    fails_with(tmp_path / "loop.jpg")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_pipes_and_devices_do_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    fails_with(tmp_path / "pipe.jpg", "not a regular file")
    with pytest.raises(BadImage, match="not a regular file"):
        read_photo("/dev/zero")


def test_a_file_that_may_not_be_read(tmp_path):
    path = tmp_path / "locked.png"
    Image.new("L", (2, 2)).save(path)
    path.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)  # root may read anything
    try:
        fails_with(path, "may not be read")
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize("magic", [b"8BPS\0\1", b"%PDF-1.7", b"\0\0\0\x18ftypheic", b"\xff\x0a\0"])
def test_other_kinds_are_named(tmp_path, magic):
    (tmp_path / "a.jpg").write_bytes(magic + b"\0" * 100)
    message = fails_with(tmp_path / "a.jpg", "Expected a JPEG, PNG, TIFF, WebP, BMP or GIF")
    assert "something else" not in message


def truncatable():
    yield from (("a.jpg", {}), ("progressive.jpg", {"progressive": True}), ("a.png", {}))
    yield from (("a.webp", {"lossless": True}), ("a.gif", {}), ("a.bmp", {}))
    yield from (("raw.tif", {}), ("lzw.tif", {"compression": "tiff_lzw"}))


@pytest.mark.parametrize(("name", "options"), list(truncatable()), ids=lambda v: str(v))
@pytest.mark.parametrize("kept", [0.01, 0.5, 0.99])
def test_truncated(tmp_path, name, options, kept):
    Image.fromarray(noise(64, 64)).save(tmp_path / name, **options)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: max(20, int(len(whole) * kept))])
    fails_with(tmp_path / name, "damaged")


def bombs():
    def tiff(width, height):
        tags = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1)]
        tags += [(273, 4, 8), (277, 3, 1), (278, 4, height), (279, 4, 1)]
        body = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
        return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + body + b"\0" * 4

    jpeg = b"\xff\xd8\xff\xc0\0\x0b\x08" + struct.pack(">HH", 60000, 60000) + b"\1\1\x11\0"
    jpeg += b"\xff\xda\0\x08\1\1\0\0\x3f\0" + b"\0" * 64
    yield "jpeg", jpeg
    yield "png", hand_made_png(60000, 60000, 8, 0, b"\0" * 100)
    yield "tiff", tiff(60000, 60000)
    yield (
        "gif",
        b"GIF89a"
        + struct.pack("<HHBBB", 60000, 60000, 0, 0, 0)
        + (b"," + struct.pack("<HHHHB", 0, 0, 60000, 60000, 0) + b"\2\1\x44\0;"),
    )
    yield (
        "bmp",
        b"BM"
        + struct.pack("<IHHI", 100, 0, 0, 54)
        + (struct.pack("<IiiHHIIiiII", 40, 60000, 60000, 1, 24, 0, 0, 0, 0, 0, 0) + b"\0" * 50),
    )


@pytest.mark.parametrize(("kind", "data"), list(bombs()), ids=[kind for kind, _ in bombs()])
def test_decompression_bombs_are_refused_from_the_header(tmp_path, kind, data):
    import resource

    (tmp_path / "bomb").write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fails_with(tmp_path / "bomb")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".gif", ".bmp"])
def test_the_limit_can_be_set_and_is_exact(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    Image.new("RGB", (20, 10)).save(path)
    assert read_photo(path, max_pixels=200).pixels.shape == (10, 20, 3)
    fails_with(path, "20 x 10", max_pixels=199)


@pytest.mark.parametrize("dtype", [np.float32, np.uint32, np.int16])
def test_other_number_types_are_one_clear_error(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((4, 4), dtype))
    fails_with(tmp_path / "a.tif", "16-bit")


def test_lab_is_read_at_16_bits_and_refused_at_8(tmp_path):
    """L* = 50 is sRGB 119 of 255."""
    for dtype in (np.uint16, np.uint8):
        values = np.zeros((4, 4, 3), dtype)
        values[..., 0] = np.iinfo(dtype).max // 2 + 1
        tifffile.imwrite(tmp_path / f"{dtype.__name__}.tif", values, photometric="cielab")
    photo = read_photo(tmp_path / "uint16.tif")
    assert np.abs(photo.pixels / 257 - 118.9).max() < 0.5
    fails_with(tmp_path / "uint8.tif", "8-bit CIE Lab")


def test_a_camera_raw_is_refused(tmp_path):
    extratags = [(50706, 1, 4, b"\1\4\0\0", True)]
    tifffile.imwrite(tmp_path / "a.dng", noise(4, 4), photometric="rgb", extratags=extratags)
    fails_with(tmp_path / "a.dng", "camera raw")


def test_garbage_behind_a_good_header_never_escapes_as_another_error(tmp_path):
    """Whatever the bytes, the caller gets a photo or a BadImage."""
    rng = np.random.default_rng(3)
    for name in ("a.jpg", "a.png", "a.tif", "big.tif", "a.webp", "a.gif", "a.bmp"):
        block = exif_block(6)
        options = {"exif": b"Exif\0\0" + block} if name in ("a.jpg", "a.webp") else {}
        if name == "big.tif":
            tifffile.imwrite(tmp_path / name, smooth(16, 16), bigtiff=True, photometric="rgb")
        else:
            Image.fromarray(smooth(16, 16)).save(tmp_path / name, **options)
        whole = np.frombuffer((tmp_path / name).read_bytes(), np.uint8)
        for _ in range(60):
            broken = whole.copy()
            where = rng.integers(8, len(whole), 6)
            broken[where] = rng.integers(0, 256, 6)
            (tmp_path / "broken").write_bytes(broken.tobytes())
            try:
                photo = read_photo(tmp_path / "broken", max_pixels=10_000)
            except BadImage:
                continue
            assert photo.pixels.ndim == 3, name


def test_png_text_bomb_is_not_unpacked(tmp_path):
    import zlib

    huge = zlib.compress(b"\0" * (80 << 20), 9)
    chunk = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + huge)
    (tmp_path / "a.png").write_bytes(hand_made_png(1, 1, 8, 0, b"\0\7", chunk))
    photo = read_photo(tmp_path / "a.png")
    assert photo.metadata.xmp is None
    assert photo.pixels.tolist() == [[[7, 7, 7]]]
