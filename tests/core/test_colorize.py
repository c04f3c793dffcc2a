"""The pipeline: equal to the original in reference mode, true to the photograph by default."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from safetensors.numpy import save_file

import micro
from heliochrome.core.backends import open_backend
from heliochrome.core.colorize import Colorizer
from heliochrome.core.errors import BadImage, BadWeights, Cancelled
from heliochrome.core.extent import Extent
from heliochrome.core.lab import lightness
from heliochrome.core.presets import ENSEMBLES, PORTRAIT
from heliochrome.core.settings import Settings
from reference import generator, golden, golden_info, weights

SMALL = Settings.from_preset(PORTRAIT, size=256)


@pytest.fixture(scope="module")
def colorizer(tmp_path_factory: pytest.TempPathFactory) -> Colorizer:
    path = micro.save(tmp_path_factory.mktemp("model") / "micro.safetensors")
    return Colorizer(open_backend(path, "torch", "cpu"))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Colorizer]:
    """Colorizers on the reference weights, made when first asked for."""
    folder = tmp_path_factory.mktemp("reference")

    class Lazy(dict[str, Colorizer]):
        def __missing__(self, size: str) -> Colorizer:
            path = folder / f"{size}.safetensors"
            save_file(weights(size), path)
            self[size] = Colorizer(open_backend(path, "torch", "cpu"))
            return self[size]

    return Lazy()


def photo(height: int, width: int, dtype: Any = np.uint8) -> np.ndarray:
    """A grey picture with smooth parts, edges and noise."""
    rng = np.random.default_rng(height * 10_000 + width)
    y, x = np.mgrid[:height, :width] / max(height, width)
    plane = 0.5 + 0.3 * np.sin(9 * x + 4 * y) + 0.2 * ((x * 7).astype(int) % 2) - 0.1
    plane = np.clip(plane + rng.normal(0, 0.03, plane.shape), 0, 1)
    scale = 1 if dtype == np.float32 else np.iinfo(dtype).max
    return np.repeat((plane * scale).astype(dtype)[..., None], 3, axis=2)


GOLDENS = [
    ("tiny", 256, "synthetic_333x517"),
    ("tiny", 512, "synthetic_333x517"),
    ("tiny", 512, "portrait"),
    ("tiny", 512, "building"),
    ("tiny", 512, "oddsize"),
    pytest.param("large", 256, "synthetic_333x517", marks=pytest.mark.large),
]


@pytest.mark.parametrize(("model", "size", "name"), GOLDENS)
def test_reference_mode_equals_the_original(
    original: dict[str, Colorizer], model: str, size: int, name: str
) -> None:
    key = f"pipeline_{model}_{size}_{name}"
    truth, info = golden(key), golden_info()[key]
    if "file" in info:
        folder = os.environ.get("HELIOCHROME_TEST_PHOTOS")
        if folder is None:
            pytest.skip("HELIOCHROME_TEST_PHOTOS does not name the original's test_images folder")
        picture = cv2.imread(str(Path(folder) / info["file"]))
        assert picture is not None, f"{folder} lacks {info['file']}"
    else:
        picture = generator().photo_input(333, 517)
    if hashlib.sha256(picture.tobytes()).hexdigest() != info["decoded_sha256"]:
        pytest.skip("this JPEG decoder gives other pixels than the one the golden was made with")
    settings = Settings.from_preset(PORTRAIT, size=size, reference_mode=True)
    result = original[model].colorize(np.ascontiguousarray(picture[..., ::-1]), settings)
    out = result.image[..., ::-1].astype(int)
    y, x = truth["crop_at"]
    for found, expected in (
        (out[::6, ::6], truth["out"]),
        (out[y : y + 80, x : x + 80], truth["crop"]),
    ):
        difference = np.abs(found - expected)
        assert difference.max() <= 1
        assert (difference > 0).mean() <= 0.005


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (1, 700), (700, 1), (37, 53), (256, 256), (333, 517), (900, 1300)]
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_lightness_is_kept_and_colour_is_given(
    colorizer: Colorizer, height: int, width: int, dtype: Any
) -> None:
    before = photo(height, width, dtype)
    untouched = before.copy()
    after = colorizer.colorize(before, SMALL).image
    assert np.array_equal(before, untouched)
    assert after.shape == before.shape and after.dtype == before.dtype
    # half a level of each channel, at most; the darkest 8-bit levels are 0.27 L* apart
    bound = {np.uint8: 0.3, np.uint16: 0.005, np.float32: 0.001}[dtype]
    assert np.abs(lightness(after) - lightness(before)).max() <= bound
    if height * width > 1000:
        assert not np.array_equal(after, before)


def test_strength_and_saturation(colorizer: Colorizer) -> None:
    before = (photo(120, 160) * (1.0, 0.96, 0.88)).astype(np.uint8)  # an old print's tone

    def chroma(**settings: float) -> float:
        image = colorizer.colorize(
            before, Settings.from_preset(PORTRAIT, size=256, **settings)
        ).image
        lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
        return float(np.hypot(lab[..., 1], lab[..., 2]).mean())

    assert chroma(strength=0.0) < 0.5  # neutral: the paper's tone goes as well
    assert chroma(strength=0.5) == pytest.approx(chroma() / 2, rel=0.1)
    assert chroma(saturation=0.5) < chroma() < chroma(saturation=1.5)


@pytest.mark.parametrize("reference_mode", [False, True])
def test_in_place_gives_the_same_picture(colorizer: Colorizer, reference_mode: bool) -> None:
    before = photo(300, 420)
    settings = Settings.from_preset(PORTRAIT, size=256, reference_mode=reference_mode)
    apart = colorizer.colorize(before, settings).image
    inside = before.copy()
    assert colorizer.colorize(inside, settings, out=inside).image is inside
    assert np.array_equal(inside, apart) and not np.array_equal(inside, before)


@pytest.mark.parametrize("passes", ENSEMBLES)
def test_an_ensemble_runs_as_often_and_never_above_the_size(
    colorizer: Colorizer, passes: int
) -> None:
    seen: list[tuple[int, ...]] = []

    class Watched:
        name, device, precision, weight_bytes, source_sha256 = "torch", "cpu", "f32", 0, None

        def predict_ab(self, gray_rgb: np.ndarray) -> np.ndarray:
            seen.append(gray_rgb.shape[2:])
            return colorizer.backend.predict_ab(gray_rgb)

        def activation_bytes(self, extent: Extent, batch: int = 1) -> int:
            return 0

        def close(self) -> None:
            pass

    settings = Settings.from_preset(PORTRAIT, size=640, ensemble=passes)
    done: list[float] = []
    found = Colorizer(Watched()).colorize(
        photo(200, 300), settings, confidence=passes > 1, progress=lambda d, t: done.append(d / t)
    )
    assert len(set(seen)) == len(seen) == passes
    assert max(max(shape) for shape in seen) == max(seen[0]) == 640
    assert done == sorted(done) and done[-1] == 1
    assert (found.confidence is not None) == (passes > 1)


def test_confidence_is_low_where_the_mirrored_picture_disagrees(colorizer: Colorizer) -> None:
    found = colorizer.colorize(photo(200, 300), SMALL, confidence=True).confidence
    assert found is not None and found.dtype == np.float32
    assert 0 <= found.min() < found.max() <= 1
    half = photo(128, 64)
    mirrored = np.concatenate((half, half[:, ::-1]), axis=1)
    sure = colorizer.colorize(mirrored, SMALL, confidence=True).confidence
    assert sure is not None and np.isfinite(sure).all()


def test_cancel_stops_and_progress_ends(colorizer: Colorizer) -> None:
    seen: list[tuple[int, int]] = []
    for confidence in (False, True):
        seen.clear()
        colorizer.colorize(
            photo(600, 900),
            SMALL,
            confidence=confidence,
            progress=lambda d, t: seen.append((d, t)),
        )
        fractions = [done / total for done, total in seen]
        assert fractions == sorted(fractions) and fractions[-1] == 1 and len(fractions) >= 3
        assert fractions[0] < 0.9

    def stop() -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        colorizer.colorize(photo(60, 90), SMALL, cancel=stop)


@pytest.mark.parametrize(("asked", "used"), [(256, None), (500, 480), (287, 256)])
def test_a_changed_size_is_told(colorizer: Colorizer, asked: int, used: int | None) -> None:
    settings = Settings.from_preset(PORTRAIT, size=asked)
    result = colorizer.colorize(photo(60, 90), settings)
    assert result.network_extent is not None
    assert result.network_extent.width == (used or asked)
    assert [notice.code for notice in result.notices] == ([] if used is None else ["size-snapped"])
    assert all(str(used) in notice.text for notice in result.notices)


def test_a_photograph_that_had_colour_is_told(colorizer: Colorizer) -> None:
    grey = photo(60, 90)
    sepia = (grey * (1.0, 0.9, 0.7)).astype(np.uint8)
    noisy = np.clip(grey + np.random.default_rng(1).integers(-2, 3, grey.shape), 0, 255)
    for image, codes in ((grey, []), (noisy.astype(np.uint8), []), (sepia, ["had-colour"])):
        notices = colorizer.colorize(image, SMALL).notices
        assert [notice.code for notice in notices] == codes


def test_a_network_that_gives_no_numbers_is_an_error_and_not_a_black_picture() -> None:
    class Broken:
        name, device, precision, weight_bytes, source_sha256 = "torch", "cpu", "f32", 0, None

        def predict_ab(self, gray_rgb: np.ndarray) -> np.ndarray:
            return np.full((1, 2, *gray_rgb.shape[2:]), np.nan, np.float32)

        def activation_bytes(self, extent: Extent, batch: int = 1) -> int:
            return 0

        def close(self) -> None:
            pass

    with pytest.raises(BadWeights, match="not numbers"):
        Colorizer(Broken()).colorize(photo(60, 90), SMALL)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers_are_refused(colorizer: Colorizer, value: float) -> None:
    image = photo(60, 90, np.float32)
    image[3, 4, 1] = value
    with pytest.raises(BadImage, match="NaN or infinite"):
        colorizer.colorize(image, SMALL)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.float64),
        np.zeros((4, 4, 3), np.int16),
        np.zeros((1, 4, 4, 3), np.uint8),
    ],
    ids=lambda a: f"{a.shape}-{a.dtype}",
)
def test_wrong_arrays_are_refused(colorizer: Colorizer, image: np.ndarray) -> None:
    with pytest.raises(BadImage, match="expected RGB pixels"):
        colorizer.colorize(image, SMALL)
