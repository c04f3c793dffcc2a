"""Batches, automatic presets, guidance and the record of what was done."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import micro
from heliochrome.core.errors import BadSetting
from heliochrome.core.guidance import Guidance
from heliochrome.core.hints import Hints
from heliochrome.core.jobs import never_cancel, no_progress
from heliochrome.core.lab import lightness
from heliochrome.core.loading import LoadedModel, open_model
from heliochrome.core.notices import Notice
from heliochrome.core.presets import AUTO_PRESET, BUILDING, PORTRAIT
from heliochrome.core.recipe import Recipe
from heliochrome.core.reference_color import ReferenceColors
from heliochrome.core.sample import draw_sample
from heliochrome.core.store import ModelStore
from heliochrome.core.treatment import Colorization, Treated, WarmTone


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = tmp_path_factory.mktemp("model")
    path = micro.save(folder / "micro.safetensors")
    return open_model(ModelStore([], folder), str(path), "torch", "cpu")


def photo(height: int = 90, width: int = 130) -> np.ndarray:
    return np.ascontiguousarray(draw_sample()[:height, :width])


def treat(model: LoadedModel, image: np.ndarray, recipe: Recipe, **more: Any) -> Treated:
    return Colorization(model, recipe, **more).apply(image, no_progress, never_cancel)


SMALL = Recipe("portrait", {"size": 256})


def test_a_batch_is_its_photographs(model: LoadedModel) -> None:
    batch = np.stack([photo(), photo()[::-1], photo()[:, ::-1]])
    together = treat(model, batch, SMALL, confidence=True)
    assert together.confidence is not None and together.confidence.shape == batch.shape[:3]
    for i, one in enumerate(batch):
        alone = treat(model, one, SMALL, confidence=True)
        assert np.array_equal(alone.image, together.image[i])
        assert alone.confidence is not None
        assert np.array_equal(alone.confidence, together.confidence[i])


@pytest.mark.parametrize("shape", [(), (2,)])
def test_progress_grows_to_the_end(model: LoadedModel, shape: tuple[int, ...]) -> None:
    image = np.broadcast_to(photo(), (*shape, *photo().shape)).copy()
    done: list[float] = []
    Colorization(model, SMALL).apply(image, lambda d, t: done.append(d / t), never_cancel)
    assert done == sorted(done) and done[-1] == 1


def test_the_record_says_what_was_done(model: LoadedModel) -> None:
    hints = Hints(np.full((90, 130, 3), 200, np.uint8), np.zeros((90, 130), np.float32))
    red = np.zeros((8, 8, 3), np.uint8)
    red[:4], red[4:] = (200, 40, 30), (60, 90, 200)
    guidance = Guidance(ReferenceColors.of(red), hints)
    record = treat(model, photo(), SMALL, guidance=guidance).provenance
    assert record.parameters["preset"] == "portrait"
    assert record.parameters["network_extent"] == "256x192"
    assert (record.parameters["backend"], record.parameters["precision"]) == ("torch", "f32")
    assert record.parameters["reference_picture"] and record.parameters["colour_hints"]
    assert record.parameters["faces"] == 0
    plain = treat(model, photo(), SMALL).provenance
    assert not {"reference_picture", "colour_hints"} & set(plain.parameters)


def test_notices_of_the_model_and_of_each_photograph_are_told_once(model: LoadedModel) -> None:
    replaced = LoadedModel(**{**vars(model), "notices": (Notice("backend-replaced", "why"),)})
    batch = np.stack([photo(), photo()])
    told = treat(replaced, batch, Recipe("portrait", {"size": 300})).notices
    assert [notice.code for notice in told] == ["backend-replaced", "size-snapped"]


def test_auto_says_what_it_chose_and_keeps_to_the_bounds(model: LoadedModel) -> None:
    recipe = Recipe.of_widgets(AUTO_PRESET, {"strength": 0.5}, {"size": 256, "skin_guard": None})
    treated = treat(model, photo(300, 400), recipe)
    (notice,) = treated.notices
    assert notice.code.startswith("preset-chosen")
    assert treated.provenance.parameters["preset"] in notice.text.lower()
    assert treated.provenance.parameters["size"] == 256
    assert treated.provenance.parameters["strength"] == 0.5
    assert treated.provenance.notices == (notice.text,)


def test_a_batch_says_what_differs_in_it(model: LoadedModel) -> None:
    building = np.full((300, 400, 3), 230, np.uint8)
    building[:, ::40] = building[:, 1::40] = building[:, 2::40] = 20
    batch = np.stack([np.full_like(building, 128), building])
    treated = treat(model, batch, Recipe.of_widgets(AUTO_PRESET, {}, {"size": 256}))
    assert {notice.code for notice in treated.notices} == {
        "preset-chosen-uprights",
        "preset-chosen-nothing",
    }
    assert treated.provenance.parameters["preset"] == "differs within the batch"
    assert treated.provenance.parameters["size"] == 256


@pytest.mark.parametrize(("size", "ran"), [(256, 1), (352, 3), (512, 5)])
def test_an_ensemble_without_room_is_told_and_recorded(
    model: LoadedModel, size: int, ran: int
) -> None:
    treated = treat(model, photo(), Recipe("portrait", {"size": size, "ensemble": 5}))
    assert treated.provenance.parameters["ensemble"] == ran
    codes = [notice.code for notice in treated.notices]
    assert codes == ([] if ran == 5 else ["ensemble-reduced"])


@pytest.mark.parametrize("preset", [PORTRAIT, BUILDING], ids=lambda preset: preset.id)
def test_a_named_preset_gives_its_values(preset: Any) -> None:
    prepared = Recipe.of_widgets(preset.id, {"strength": None}, {"size": 320}).prepare(photo())
    assert prepared.preset == preset.id and prepared.notices == ()
    assert prepared.settings.size == 320
    assert prepared.settings.skin_guard == preset.skin_guard


@pytest.mark.parametrize(
    ("preset", "overrides", "named"),
    [("sunset", {}, "preset"), ("auto", {"size": 99}, "size"), ("portrait", {"ensemble": 2}, "en")],
)
def test_a_bad_recipe_is_refused_before_any_work(
    preset: str, overrides: dict[str, Any], named: str
) -> None:
    with pytest.raises(BadSetting, match=named):
        Recipe(preset, overrides)


def test_hints_colour_what_they_were_painted_on(model: LoadedModel) -> None:
    grey = np.full((120, 160, 3), 128, np.uint8)
    paint = np.zeros_like(grey)
    paint[40:80, 60:100] = (200, 60, 50)
    mask = (paint.sum(axis=2) > 0).astype(np.float32)
    image = treat(model, grey, SMALL, guidance=Guidance(hints=Hints(paint, mask))).image
    red, green, blue = image[55:65, 75:85].reshape(-1, 3).mean(axis=0)
    assert red > green + 40 and red > blue + 40
    assert np.abs(lightness(image) - lightness(grey)).max() < 0.3


def test_in_place_saves_a_picture(model: LoadedModel) -> None:
    for treatment in (Colorization(model, SMALL), WarmTone()):
        image = photo()
        apart = treatment.apply(image.copy(), no_progress, never_cancel).image
        inside = treatment.apply(image, no_progress, never_cancel, out=image)
        assert inside.image is image and np.array_equal(image, apart)
