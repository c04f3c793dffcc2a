"""Writing: everything a file said is still said, checked with other readers than our own."""

import io
import shutil
import struct
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, IptcImagePlugin

from heliochrome.core.errors import BadImage
from heliochrome.core.photo import default_suffix, read_photo, write_photo
from heliochrome.core.provenance import from_xmp
from photo_samples import (
    CHINESE,
    IPTC,
    MAKER_NOTE,
    PROVENANCE,
    THUMBNAIL,
    XMP,
    exif_block,
    image_resource,
    insert_jpeg_segments,
    insert_png_chunks,
    noise,
    png_chunk,
    smooth,
    tiff_file,
)

SUFFIXES = [".jpg", ".png", ".tif", ".webp"]


def rewrite(path, suffix=None, **options):
    """Read and write unchanged pixels; the path of the result."""
    photo = read_photo(path)
    result = path.with_name(f"result{suffix or default_suffix(photo)}")
    write_photo(result, photo.pixels, photo, PROVENANCE, **options)
    return result


def full_photo(path, orientation=6, order="<"):
    """A photograph with all that its format can hold, written by Pillow and by hand."""
    picture = Image.fromarray(smooth(20, 40))
    block = exif_block(orientation, order)
    resources = (
        image_resource(0x0404, IPTC)
        + image_resource(0x0425, b"resolution")
        + image_resource(0x040C, b"thumbnail")
    )
    match path.suffix:
        case ".jpg":
            picture.save(
                path, quality=95, exif=b"Exif\0\0" + block, xmp=XMP, dpi=(600, 300), comment=CHINESE
            )
            insert_jpeg_segments(
                path, (0xED, b"Photoshop 3.0\0" + resources), (0xE5, b"PRIVATE\0x")
            )
        case ".png":
            picture.save(path, dpi=(600, 300))
            insert_png_chunks(
                path,
                png_chunk(b"eXIf", block),
                png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
                png_chunk(b"iTXt", b"Title\0\0\0\0\0" + CHINESE.encode()),
                png_chunk(b"tIME", struct.pack(">HBBBBB", 2001, 1, 1, 1, 1, 1)),
            )
        case ".webp":
            picture.save(path, lossless=True, exif=block, xmp=XMP)
        case ".tif":
            more = ((700, 1, XMP), (33723, 7, IPTC), (34377, 1, resources))
            path.write_bytes(tiff_file(smooth(20, 40), orientation, order, *more))


def pillow_exif(path):
    with Image.open(path) as picture:
        exif = picture.getexif()
        return dict(exif), dict(exif.get_ifd(34665)), dict(exif.get_ifd(34853))


def text(value):
    """Pillow gives EXIF text as Latin-1 in some versions."""
    return value if value.isascii() or "上" in value else value.encode("latin-1").decode()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_exif_is_kept(tmp_path, suffix, order):
    full_photo(tmp_path / f"a{suffix}", orientation=6, order=order)
    result = rewrite(tmp_path / f"a{suffix}")
    main, exif, gps = pillow_exif(result)
    assert main[274] == 1
    assert text(main[270]) == CHINESE
    assert {
        271: "Leica",
        272: "Standard",
        306: "2001:02:03 04:05:06",
        315: "Someone",
    }.items() <= main.items()
    assert main[33432] == "Public domain"
    assert (float(main[282]), float(main[283]), main[296]) == (300, 600, 2)
    assert bytes(main[50000]) == b"a tag nobody knows"
    assert exif[33434] == pytest.approx(1 / 125)
    assert exif[36867] == "1935:05:01 12:00:00"
    assert exif[37500] == MAKER_NOTE
    assert exif[37510][8:] in ("注释".encode("utf-16-le"), "注释".encode("utf-16-be"))
    assert gps[1] == "N"
    assert [float(v) for v in gps[4]] == pytest.approx([121, 29, 25.12])
    if suffix != ".tif":  # the picture was turned: 40 x 20 became 20 x 40
        assert (exif[40962], exif[40963]) == (20, 40)
        with Image.open(result) as picture:
            assert picture.size == (20, 40)


def find_entry(data, order, tag):
    """Where the first table's entry of `tag` starts."""
    (start,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, start)
    return next(
        at
        for at in range(start + 2, start + 2 + 12 * count, 12)
        if struct.unpack_from(order + "H", data, at) == (tag,)
    )


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_block_keeps_every_byte_but_those_that_must_change(tmp_path, suffix):
    """Maker notes refer to positions in the block, so nothing may move."""
    full_photo(tmp_path / f"a{suffix}", orientation=3)
    before, after = exif_block(3), read_photo(rewrite(tmp_path / f"a{suffix}")).metadata.exif
    assert after.index(MAKER_NOTE) == before.index(MAKER_NOTE)
    changed = [n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b]
    orientation_at = find_entry(before, "<", 274) + 8
    link_at = 8 + 2 + 12 * 13
    assert changed[0] == orientation_at
    assert all(link_at <= n < link_at + 4 for n in changed[1:])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_grey_thumbnail_is_gone(tmp_path, suffix):
    full_photo(tmp_path / f"a{suffix}")
    data = rewrite(tmp_path / f"a{suffix}").read_bytes()
    assert THUMBNAIL[4:-2] not in data
    assert image_resource(0x040C, b"thumbnail") not in data


def test_a_thumbnail_in_the_middle_is_blanked(tmp_path):
    block = exif_block(1) + b"something that follows"
    Image.fromarray(smooth(8, 8)).save(tmp_path / "a.jpg", exif=b"Exif\0\0" + block)
    data = rewrite(tmp_path / "a.jpg").read_bytes()
    assert THUMBNAIL[4:-2] not in data
    assert b"something that follows" in data


def xmp_of(path):
    if path.suffix == ".tif":
        return bytes(tifffile.TiffFile(path).pages[0].tags[700].value)
    with Image.open(path) as picture:
        xmp = picture.info.get("xmp") or picture.info["XML:com.adobe.xmp"]
        return xmp if isinstance(xmp, bytes) else xmp.encode()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_xmp_is_kept_upright_and_says_the_provenance(tmp_path, suffix):
    full_photo(tmp_path / f"a{suffix}")
    xmp = xmp_of(rewrite(tmp_path / f"a{suffix}"))
    assert from_xmp(xmp) == PROVENANCE
    assert CHINESE.encode() in xmp
    assert b'tiff:Orientation="1"' in xmp


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_without_anything_gets_the_provenance_only(tmp_path, suffix):
    Image.fromarray(smooth(9, 9)).save(tmp_path / f"a{suffix}")
    result = rewrite(tmp_path / f"a{suffix}")
    assert from_xmp(xmp_of(result)) == PROVENANCE
    metadata = read_photo(result).metadata
    assert (metadata.icc, metadata.iptc, metadata.private) == (None, None, ())


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_iptc_and_image_resources_are_kept(tmp_path, suffix):
    full_photo(tmp_path / f"a{suffix}")
    result = rewrite(tmp_path / f"a{suffix}")
    with Image.open(result) as picture:
        assert IptcImagePlugin.getiptcinfo(picture)[(2, 120)] == b"caption"
        if suffix == ".jpg":
            assert picture.info["photoshop"][0x0425].startswith(b"resolution")
        else:
            assert b"resolution" in bytes(picture.tag_v2[34377])


def test_comments_and_private_segments_of_a_jpeg_are_kept(tmp_path):
    full_photo(tmp_path / "a.jpg")
    with Image.open(rewrite(tmp_path / "a.jpg")) as picture:
        assert picture.info["comment"].decode() == CHINESE
        assert ("APP5", b"PRIVATE\0x") in picture.applist


def test_texts_of_a_png_are_kept(tmp_path):
    full_photo(tmp_path / "a.png")
    with Image.open(rewrite(tmp_path / "a.png")) as picture:
        picture.load()
        assert picture.text["Title"] == CHINESE


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("dpi", [(300, 300), (600, 150), (72, 72), (118 * 2.54, 118 * 2.54)])
def test_resolution_is_kept(tmp_path, suffix, dpi):
    Image.fromarray(smooth(9, 9)).save(tmp_path / f"a{suffix}", dpi=dpi)
    with (
        Image.open(tmp_path / f"a{suffix}") as before,
        Image.open(rewrite(tmp_path / f"a{suffix}")) as after,
    ):
        assert [float(v) for v in after.info["dpi"]] == pytest.approx(
            [float(v) for v in before.info["dpi"]]
        )


@pytest.mark.parametrize("source", SUFFIXES)
@pytest.mark.parametrize("target", SUFFIXES)
def test_resolution_crosses_formats(tmp_path, source, target):
    full_photo(tmp_path / f"a{source}", orientation=6)
    result = rewrite(tmp_path / f"a{source}", target, allow_loss=True)
    assert read_photo(result).metadata.dpi == pytest.approx((300, 600), rel=1e-4)


@pytest.mark.parametrize("source", SUFFIXES)
@pytest.mark.parametrize("target", SUFFIXES)
def test_exif_crosses_formats(tmp_path, source, target):
    full_photo(tmp_path / f"a{source}", order=">")
    main, exif, gps = pillow_exif(rewrite(tmp_path / f"a{source}", target, allow_loss=True))
    assert (main[271], main[274], exif[37500], gps[1]) == ("Leica", 1, MAKER_NOTE, "N")
    assert text(main[270]) == CHINESE


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bits_come_out_as_they_went_in(tmp_path, suffix, channels):
    values = noise(19, 23, channels, np.uint16)
    extra = [2] if channels == 4 else None
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", extrasamples=extra)
    result = rewrite(tmp_path / "a.tif", suffix)
    if suffix == ".tif":
        assert np.array_equal(tifffile.imread(result), values)
    else:
        assert result.read_bytes()[24] == 16
        import cv2

        back = cv2.imread(str(result), cv2.IMREAD_UNCHANGED)
        order = [2, 1, 0, 3][:channels]
        assert np.array_equal(back[..., order], values)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
@pytest.mark.parametrize("channels", [3, 4])
def test_eight_bits_come_out_as_they_went_in(tmp_path, suffix, channels):
    values = noise(19, 23, channels)
    path = tmp_path / f"a{suffix}"
    options = {"lossless": True, "exact": True} if suffix == ".webp" else {}
    Image.fromarray(values).save(path, **options)
    with Image.open(rewrite(path)) as back:
        assert np.array_equal(np.asarray(back), values)


def test_a_lossy_webp_stays_small_and_close(tmp_path):
    Image.fromarray(smooth(64, 64)).save(tmp_path / "a.webp", quality=90)
    photo = read_photo(tmp_path / "a.webp")
    result = rewrite(tmp_path / "a.webp")
    assert not photo.lossless
    assert b"VP8L" not in result.read_bytes()
    with Image.open(result) as back:
        assert np.abs(np.asarray(back).astype(int) - photo.pixels).mean() < 3


def test_a_jpeg_keeps_full_colour_resolution(tmp_path):
    Image.fromarray(smooth(64, 64)).save(tmp_path / "a.jpg", quality=95)
    with Image.open(rewrite(tmp_path / "a.jpg")) as back:
        assert [layer[1:3] for layer in back.layer] == [(1, 1)] * 3
        luma = back.quantization[0]
        assert sum(luma) / 64 < 8  # quality 95


@pytest.mark.parametrize("made_from", ["1", "L", "P"])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".gif"])
def test_a_grey_input_becomes_a_colour_output(tmp_path, made_from, suffix):
    Image.fromarray(smooth(9, 13)).convert(made_from).save(tmp_path / f"a{suffix}")
    photo = read_photo(tmp_path / f"a{suffix}")
    colour = photo.pixels.copy()
    colour[..., 0] ^= 0x55
    result = tmp_path / f"b{default_suffix(photo)}"
    write_photo(result, colour, photo, PROVENANCE)
    with Image.open(result) as back:
        assert back.mode == "RGB"
        assert np.array_equal(np.asarray(back), colour)


# What a format cannot hold.

LOSSES = [
    ("deep.tif", ".jpg", "16 bits"),
    ("deep.tif", ".webp", "16 bits"),
    ("alpha.png", ".jpg", "transparent"),
    ("full.jpg", ".webp", "IPTC"),
    ("full.jpg", ".png", "only a JPEG"),
    ("full.png", ".jpg", "only a PNG"),
]


@pytest.mark.parametrize(("name", "suffix", "word"), LOSSES)
def test_a_loss_is_refused_unless_allowed_and_then_told(tmp_path, name, suffix, word):
    path = tmp_path / name
    match path.stem:
        case "deep":
            tifffile.imwrite(path, noise(9, 9, 3, np.uint16), photometric="rgb")
        case "alpha":
            Image.fromarray(noise(9, 9, 4), "RGBA").save(path)
        case "full":
            full_photo(path)
    photo = read_photo(path)
    result = tmp_path / f"b{suffix}"
    with pytest.raises(BadImage, match=word):
        write_photo(result, photo.pixels, photo, PROVENANCE)
    assert not result.exists()
    told = write_photo(result, photo.pixels, photo, PROVENANCE, allow_loss=True)
    assert any(word in sentence for sentence in told)
    with Image.open(result) as picture:
        picture.load()


def test_transparent_parts_become_white(tmp_path):
    values = np.zeros((16, 32, 4), np.uint8)
    values[:, 16:, 3] = 255
    Image.fromarray(values, "RGBA").save(tmp_path / "a.png")
    with Image.open(rewrite(tmp_path / "a.png", ".jpg", allow_loss=True)) as back:
        assert np.asarray(back)[:, :8].min() > 250
        assert np.asarray(back)[:, 24:].max() < 5


def test_iptc_goes_into_a_png_and_back(tmp_path):
    full_photo(tmp_path / "a.jpg")
    photo = read_photo(rewrite(tmp_path / "a.jpg", ".png", allow_loss=True))
    assert photo.metadata.iptc == IPTC
    assert b"resolution" in photo.metadata.image_resources


def test_exif_in_an_old_png_text_is_found(tmp_path):
    """ImageMagick's way, from before PNG had a chunk for it; its orientation counts."""
    block = b"Exif\0\0" + exif_block(6)
    body = b"\nexif\n%8d\n" % len(block) + block.hex().encode() + b"\n"
    Image.fromarray(smooth(20, 40)).save(tmp_path / "a.png")
    insert_png_chunks(tmp_path / "a.png", png_chunk(b"tEXt", b"Raw profile type exif\0" + body))
    result = rewrite(tmp_path / "a.png")
    main, _, _ = pillow_exif(result)
    assert (main[271], main[274]) == ("Leica", 1)
    assert Image.open(result).size == (20, 40)


@pytest.mark.parametrize(("suffix", "side"), [(".jpg", 65_501), (".webp", 16_384)])
def test_a_side_that_is_too_long_for_the_format(tmp_path, suffix, side):
    Image.new("L", (side, 1)).save(tmp_path / "a.png")
    with pytest.raises(BadImage, match=f"{side} x 1"):
        rewrite(tmp_path / "a.png", suffix)
    assert not (tmp_path / f"result{suffix}").exists()


@pytest.mark.parametrize(("suffix", "side"), [(".jpg", 65_500), (".webp", 16_383)])
def test_the_longest_side_works(tmp_path, suffix, side):
    Image.new("L", (side, 1)).save(tmp_path / "a.png")
    assert read_photo(rewrite(tmp_path / "a.png", suffix)).pixels.shape == (1, side, 3)


@pytest.mark.parametrize("name", ["a", "a.gif", "a.jpg.bak", ".jpg"])
def test_an_unknown_ending_is_refused(tmp_path, name):
    Image.fromarray(smooth(4, 4)).save(tmp_path / "in.png")
    photo = read_photo(tmp_path / "in.png")
    with pytest.raises(BadImage, match=r"\.jpg, \.jpeg, \.png"):
        write_photo(tmp_path / name, photo.pixels, photo, PROVENANCE)


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 5, 3), np.uint8), np.zeros((4, 4, 3), np.float32)],
)
def test_pixels_that_do_not_fit_are_refused(tmp_path, pixels):
    Image.fromarray(smooth(4, 4)).save(tmp_path / "in.png")
    photo = read_photo(tmp_path / "in.png")
    with pytest.raises(BadImage, match="expected uint8 or uint16"):
        write_photo(tmp_path / "a.png", pixels, photo, PROVENANCE)


def test_pixels_may_be_any_view(tmp_path):
    Image.fromarray(smooth(6, 6)).save(tmp_path / "in.png")
    photo = read_photo(tmp_path / "in.png")
    write_photo(tmp_path / "a.png", photo.pixels[::-1, :, ::-1], photo, PROVENANCE)
    with Image.open(tmp_path / "a.png") as back:
        assert np.array_equal(np.asarray(back), smooth(6, 6)[::-1, :, ::-1])


# XMP larger than a JPEG segment.


def huge_xmp(size, as_attribute):
    filling = "色" * (size // 3)
    keyword = f'dc:source="{filling}"' if as_attribute else ""
    element = "" if as_attribute else f"<dc:description>{filling}</dc:description>"
    return XMP.replace(b"<dc:title>", element.encode() + b"<dc:title>").replace(
        b'tiff:Orientation="6"', b'tiff:Orientation="6" ' + keyword.encode()
    )


@pytest.mark.parametrize("as_attribute", [False, True])
@pytest.mark.parametrize("size", [60_000, 66_000, 300_000])
def test_xmp_over_64_kb_in_a_jpeg(tmp_path, size, as_attribute):
    Image.fromarray(smooth(9, 9)).save(tmp_path / "a.png")
    insert_png_chunks(
        tmp_path / "a.png",
        png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + huge_xmp(size, as_attribute)),
    )
    first = rewrite(tmp_path / "a.png", ".jpg")
    with Image.open(first) as picture:  # a reader that does not know extended packets
        picture.load()
        assert from_xmp(picture.info["xmp"]) == PROVENANCE
    first = first.rename(tmp_path / "first.jpg")
    for path in (first, rewrite(first, ".png")):
        packet = read_photo(path).metadata.xmp
        assert packet.count("色".encode()) == size // 3
        assert CHINESE.encode() in packet
        assert b"HasExtendedXMP" not in packet


def test_a_missing_part_of_extended_xmp_is_said(tmp_path):
    Image.fromarray(smooth(9, 9)).save(tmp_path / "a.png")
    insert_png_chunks(
        tmp_path / "a.png",
        png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + huge_xmp(150_000, False)),
    )
    result = rewrite(tmp_path / "a.png", ".jpg")
    data = result.read_bytes()
    at = data.index(b"http://ns.adobe.com/xmp/extension/") - 4
    (length,) = struct.unpack_from(">H", data, at + 2)
    result.write_bytes(data[:at] + data[at + 2 + length :])
    photo = read_photo(result)
    assert any("extended XMP" in note for note in photo.notes)
    assert from_xmp(photo.metadata.xmp) == PROVENANCE


def test_xmp_that_cannot_be_split_leaves_no_file(tmp_path):
    names = " ".join(f'xmlns:n{n}="urn:{"x" * 60}{n}/"' for n in range(900))
    packet = XMP.replace(b'rdf:about=""', b'rdf:about="" ' + names.encode())
    Image.fromarray(smooth(9, 9)).save(tmp_path / "a.png")
    insert_png_chunks(
        tmp_path / "a.png", png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet)
    )
    with pytest.raises(Exception, match="XMP data cannot be stored"):
        rewrite(tmp_path / "a.png", ".jpg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png"]


def test_a_profile_over_64_kb_in_a_jpeg(tmp_path):
    """CMYK profiles are half a megabyte; ours is a real sRGB one with a long private tag."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    long = bytearray(profile + b"\0" * 150_000)
    long[0:4] = struct.pack(">I", len(long))
    Image.fromarray(smooth(9, 9)).save(tmp_path / "a.jpg", icc_profile=bytes(long))
    with Image.open(rewrite(tmp_path / "a.jpg")) as back:
        assert back.info["icc_profile"] == bytes(long)


def test_exif_too_long_for_a_jpeg(tmp_path):
    Image.fromarray(smooth(9, 9)).save(tmp_path / "in.png")
    photo = read_photo(tmp_path / "in.png")
    block = exif_block(1, thumbnail=b"") + b"\0" * 70_000
    photo = replace(photo, metadata=replace(photo.metadata, exif=block))
    with pytest.raises(BadImage, match="EXIF data is too long"):
        write_photo(tmp_path / "a.jpg", photo.pixels, photo, PROVENANCE)
    write_photo(tmp_path / "a.jpg", photo.pixels, photo, PROVENANCE, allow_loss=True)
    Image.open(tmp_path / "a.jpg").load()


def test_twice_is_the_same_as_once(tmp_path):
    """A result can be a new input: nothing grows or goes but the history."""
    for suffix in SUFFIXES:
        full_photo(tmp_path / f"a{suffix}")
        once = read_photo(rewrite(tmp_path / f"a{suffix}"))
        again = read_photo(rewrite(once.source.rename(tmp_path / f"once{suffix}")))
        again.source.unlink()
        assert replace(again.metadata, xmp=None) == replace(once.metadata, xmp=None), suffix
        if suffix != ".jpg":
            assert np.array_equal(once.pixels, again.pixels)


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_exiftool_reads_the_same_and_finds_no_fault(tmp_path, suffix):
    def tags(path):
        command = ["exiftool", "-validate", "-warning", "-a", "-s", "-G1", "-n"]
        wanted = (
            "Make Model ImageDescription Copyright Artist GPSLatitude GPSLongitude Title Comment "
            "Caption-Abstract By-line ExposureTime UserComment DateTimeOriginal ModifyDate"
        )
        done = subprocess.run(
            [*command, *(f"-{name}" for name in wanted.split(" ")), path],
            capture_output=True,
            text=True,
            check=True,
        )
        return set(done.stdout.splitlines())

    full_photo(tmp_path / f"a{suffix}")
    before, after = tags(tmp_path / f"a{suffix}"), tags(rewrite(tmp_path / f"a{suffix}"))
    facts = {line for line in before if not set(line.split()) & {"Validate", "Warning", "[PNG]"}}
    assert len(facts) > 8
    assert facts <= after
    # It takes deflate in a TIFF for an invalid compression, as TIFF 6.0 came before it.
    faults = {line for line in after - before if "Warning" in line and "Compression" not in line}
    assert not faults


def test_pillow_reads_the_png_we_write_strictly(tmp_path):
    """Every chunk has its right check sum and place."""
    full_photo(tmp_path / "a.png")
    data = rewrite(tmp_path / "a.png").read_bytes()
    with Image.open(io.BytesIO(data)) as picture:
        picture.verify()
    assert data.count(b"pHYs") == 1
    assert data.count(b"IHDR") == 1
