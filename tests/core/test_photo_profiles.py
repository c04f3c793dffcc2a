"""Colour profiles: pixels are sRGB, and go back to the profile the file came with."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from heliochrome.core.photo import default_suffix, profiles, read_photo, write_photo
from photo_samples import (
    ADOBE_RGB,
    PROPHOTO,
    PROVENANCE,
    SRGB,
    grey_profile,
    insert_png_chunks,
    lut_profile,
    noise,
    png_chunk,
    rgb_profile,
    smooth,
)

ADOBE = rgb_profile(ADOBE_RGB, 563 / 256)
PRO = rgb_profile(PROPHOTO, 1.8)
LINEAR = rgb_profile(SRGB, 1.0)
P3_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
WIDE = [
    pytest.param(ADOBE, id="adobe"),
    pytest.param(PRO, id="prophoto"),
    pytest.param(LINEAR, id="linear"),
]

NEUTRAL = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2).repeat(4, axis=0)
NEUTRAL16 = np.repeat(np.arange(65536, dtype=np.uint16).reshape(256, 256, 1), 3, axis=2)


def save(path, values, profile, alpha=None):
    """Write with Pillow (8 bit) or tifffile (16 bit)."""
    if alpha is not None:
        values = np.concatenate([values, alpha[..., None]], axis=2)
    if values.dtype == np.uint16:
        colour = values.shape[2] >= 3 if values.ndim == 3 else False
        tifffile.imwrite(
            path,
            values,
            photometric="rgb" if colour else "minisblack",
            extrasamples=[2] if alpha is not None else None,
            iccprofile=profile,
        )
    else:
        options = {"quality": 100, "subsampling": 0} if path.suffix == ".jpg" else {}
        options |= {"lossless": True, "exact": True} if path.suffix == ".webp" else {}
        Image.fromarray(values).save(path, icc_profile=profile, **options)


def rewrite(path):
    photo = read_photo(path)
    result = path.with_name(f"result{default_suffix(photo)}")
    result.unlink(missing_ok=True)
    write_photo(result, photo.pixels, photo, PROVENANCE)
    return photo, result


def embedded(path):
    if path.suffix == ".tif":
        tag = tifffile.TiffFile(path).pages[0].tags.get(34675)
        return bytes(tag.value) if tag else None
    return Image.open(path).info.get("icc_profile")


def values_of(path):
    return tifffile.imread(path) if path.suffix == ".tif" else np.asarray(Image.open(path))


@pytest.mark.parametrize("profile", WIDE)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_eight_bit_neutrals_come_back_exactly(tmp_path, suffix, profile):
    path = tmp_path / f"a{suffix}"
    save(path, NEUTRAL, profile)
    photo, result = rewrite(path)
    assert photo.pixels.dtype == np.uint16
    assert photo.bit_depth == 8
    assert photo.returns_to_profile
    assert embedded(result) == profile
    back = values_of(result)
    assert back.dtype == np.uint8
    assert np.abs(back.astype(int) - values_of(path)).max() <= (1 if suffix == ".jpg" else 0)


@pytest.mark.parametrize("profile", WIDE)
def test_sixteen_bit_neutrals_stay_within_an_eight_bit_level(tmp_path, profile):
    """And nearly everywhere within one 16-bit level; only the deepest shadows are coarser."""
    save(tmp_path / "a.tif", NEUTRAL16, profile)
    photo, result = rewrite(tmp_path / "a.tif")
    assert photo.bit_depth == 16
    assert embedded(result) == profile
    moved = np.abs(values_of(result).astype(int) - NEUTRAL16)
    assert moved.max() < 257
    assert np.percentile(moved, 95) <= 2
    assert np.ptp(values_of(result).astype(int), axis=2).max() <= 2


@pytest.mark.parametrize("profile", WIDE)
def test_colours_inside_srgb_come_back(tmp_path, profile):
    """Sepia, as an old print is: well inside sRGB."""
    sepia = (NEUTRAL16 * np.array([0.8, 0.75, 0.68])).astype(np.uint16)
    save(tmp_path / "a.tif", sepia, profile)
    _, result = rewrite(tmp_path / "a.tif")
    assert np.abs(values_of(result).astype(int) - sepia).max() < 257


@pytest.mark.parametrize("profile", WIDE)
def test_the_srgb_values_agree_with_little_cms(tmp_path, profile):
    values = (noise(40, 40) // 2 + 64).astype(np.uint8)
    save(tmp_path / "a.png", values, profile)
    reference = ImageCms.profileToProfile(
        Image.fromarray(values),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    ours = read_photo(tmp_path / "a.png").pixels / 257
    assert np.abs(ours - np.asarray(reference)).max() <= 1.5


def test_srgb_is_left_alone_and_kept(tmp_path):
    values = noise(30, 30)
    save(tmp_path / "a.png", values, P3_SRGB)
    photo, result = rewrite(tmp_path / "a.png")
    assert np.array_equal(photo.pixels, values)
    assert embedded(result) == P3_SRGB
    assert np.array_equal(values_of(result), values)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_grey_profile_becomes_srgb(tmp_path, dtype):
    top = np.iinfo(dtype).max
    grey = np.linspace(0, top, 256).round().astype(dtype).reshape(16, 16)
    save(tmp_path / "a.tif", grey, grey_profile(1.8))
    photo, result = rewrite(tmp_path / "a.tif")
    light = (grey / top) ** 1.8
    code = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    assert photo.pixels.dtype == dtype
    assert np.abs(photo.pixels[..., 1] - code * top).max() <= top / 250
    assert embedded(result) == profiles.srgb_profile()
    assert values_of(result).shape == (16, 16, 3)


def test_the_srgb_profile_we_embed_is_srgb(tmp_path):
    """By Little CMS: a ramp through it stays where it is."""
    ours = ImageCms.ImageCmsProfile(io.BytesIO(profiles.srgb_profile()))
    moved = ImageCms.profileToProfile(
        Image.fromarray(NEUTRAL), ours, ImageCms.createProfile("sRGB")
    )
    assert np.abs(np.asarray(moved).astype(int) - NEUTRAL).max() <= 1


def test_cmyk_with_its_own_profile(tmp_path):
    import pyvips

    profile = bytes(pyvips.Operation.call("profile_load", "cmyk"))
    inks = np.zeros((8, 8, 4), np.uint8)
    inks[..., 3] = np.linspace(0, 255, 8).astype(np.uint8)
    Image.fromarray(inks, "CMYK").save(tmp_path / "a.tif", icc_profile=profile)
    photo, result = rewrite(tmp_path / "a.tif")
    reference = ImageCms.profileToProfile(
        Image.fromarray(inks, "CMYK"),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert np.abs(photo.pixels.astype(int) - np.asarray(reference)).max() <= 3
    assert embedded(result) == profiles.srgb_profile()
    assert any("CMYK" in note for note in photo.notes)


def test_a_profile_without_a_way_back_becomes_srgb_and_is_said(tmp_path):
    save(tmp_path / "a.png", smooth(12, 12), lut_profile())
    photo, result = rewrite(tmp_path / "a.png")
    assert not np.array_equal(photo.pixels, smooth(12, 12))
    assert embedded(result) == profiles.srgb_profile()
    assert any("cannot be undone" in note for note in photo.notes)


@pytest.mark.parametrize(
    ("profile", "mode"),
    [
        (b"rubbish" * 40, "RGB"),
        (ADOBE[:180], "RGB"),
        (ADOBE[:128] + b"\xff" * 4, "RGB"),
        (grey_profile(2.2), "RGB"),
        (ADOBE, "L"),
        (ADOBE.replace(b"curv", b"what"), "RGB"),
        (rgb_profile(((0, 0, 0),) * 3, 2.2), "RGB"),
    ],
    ids=["rubbish", "cut", "no-table", "grey-on-rgb", "rgb-on-grey", "curve", "black"],
)
def test_an_unusable_profile_is_left_out_and_said(tmp_path, profile, mode):
    picture = Image.fromarray(smooth(12, 12)).convert(mode)
    picture.save(tmp_path / "a.jpg", icc_profile=profile)
    photo, result = rewrite(tmp_path / "a.jpg")
    assert embedded(result) is None
    assert any("profile was left out" in note for note in photo.notes)
    assert np.abs(photo.pixels.astype(int) - np.asarray(picture.convert("RGB"))).max() < 30


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_alpha_survives_a_converted_profile_exactly(tmp_path, dtype):
    values, alpha = noise(9, 9, 3, dtype), noise(9, 9, 0, dtype)
    path = tmp_path / ("a.png" if dtype == np.uint8 else "a.tif")
    save(path, values, ADOBE, alpha)
    photo, result = rewrite(path)
    assert photo.alpha.dtype == photo.pixels.dtype == np.uint16
    assert np.array_equal(values_of(result)[..., 3], alpha)


def test_a_colour_given_in_srgb_is_that_colour_in_the_profile(tmp_path):
    """What the network paints must look the same, whatever profile the file has."""
    save(tmp_path / "a.png", NEUTRAL, ADOBE)
    photo = read_photo(tmp_path / "a.png")
    painted = np.empty_like(photo.pixels)
    painted[:] = (200 * 257, 100 * 257, 50 * 257)
    write_photo(tmp_path / "b.png", painted, photo, PROVENANCE)
    shown = ImageCms.profileToProfile(
        Image.open(tmp_path / "b.png"),
        ImageCms.ImageCmsProfile(io.BytesIO(ADOBE)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    assert np.abs(np.asarray(shown).astype(int) - (200, 100, 50)).max() <= 2


def test_png_colour_chunks_go_with_converted_values(tmp_path):
    """gAMA describes the grey that was stored; beside an sRGB profile it would be wrong."""
    gamma = png_chunk(b"gAMA", (55556).to_bytes(4, "big"))
    Image.fromarray(NEUTRAL[..., 0]).save(tmp_path / "a.png", icc_profile=grey_profile(1.8))
    insert_png_chunks(tmp_path / "a.png", gamma)
    _, result = rewrite(tmp_path / "a.png")
    assert b"gAMA" not in result.read_bytes()
    Image.fromarray(NEUTRAL).save(tmp_path / "a.png")
    insert_png_chunks(tmp_path / "a.png", gamma)
    _, result = rewrite(tmp_path / "a.png")
    assert b"gAMA" in result.read_bytes()
