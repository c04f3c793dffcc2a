"""Which file becomes which: nothing is lost, nothing stands for something else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

import micro
from heliochrome.core.albums import Outcome, plan, run
from heliochrome.core.backends import open_backend
from heliochrome.core.errors import OutputExists
from heliochrome.core.export import SOURCE_KEY, export_onnx
from heliochrome.core.jobs import never_cancel
from heliochrome.core.loading import open_model, weights_state
from heliochrome.core.photo import read_photo, result_record, write_photo
from heliochrome.core.store import ModelStore
from heliochrome.core.treatment import WarmTone
from photo_samples import PROVENANCE


def picture(path: Path, kind: str = "JPEG", tone: int = 120) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((12, 16), tone, np.uint8)).save(path, kind)
    return path


def colour(sources: list[Path], out: Path, overwrite: bool = False) -> list[Outcome]:
    tasks = plan(sources, out).tasks
    return list(run(tasks, WarmTone(), overwrite=overwrite, cancel=never_cancel))


@pytest.mark.parametrize(
    ("files", "results"),
    [
        ({"a.jpg": "JPEG", "b.PNG": "PNG"}, ["a.jpg", "b.PNG"]),
        ({"a.bmp": "BMP", "c.gif": "GIF"}, ["a.png", "c.png"]),
        ({"a.bmp": "BMP", "a.png": "PNG"}, ["a.bmp.png", "a.png"]),
        ({"wrong.jpg": "PNG"}, ["wrong.png"]),
        ({"wrong.jpg": "PNG", "wrong.png": "PNG"}, ["wrong.jpg.png", "wrong.png"]),
        ({"a.jpeg": "JPEG", "a.jpg": "JPEG"}, ["a.jpeg", "a.jpg"]),
        ({"x.y.tif": "TIFF"}, ["x.y.tif"]),
    ],
)
def test_names_of_results(tmp_path: Path, files: dict[str, str], results: list[str]) -> None:
    for name, kind in files.items():
        picture(tmp_path / "in" / name, kind)
    outcomes = colour([tmp_path / "in"], tmp_path / "out")
    assert [outcome.status for outcome in outcomes] == ["done"] * len(files)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == results


def test_names_without_an_ending_get_one(tmp_path: Path) -> None:
    names = ["scan.2020", "scan.2021", "Mr. Smith", "plain"]
    outcomes = colour([picture(tmp_path / "in" / name) for name in names], tmp_path / "out")
    found = [outcome.target.name for outcome in outcomes if outcome.target]
    assert found == [f"{name}.jpg" for name in names]


def test_case_alone_does_not_tell_two_results_apart(tmp_path: Path) -> None:
    picture(tmp_path / "in/a.jpg")
    picture(tmp_path / "in/A.JPG")
    with pytest.raises(OutputExists, match="both become"):
        plan([tmp_path / "in"], tmp_path / "out")


def test_results_inside_the_album_are_known_from_originals(tmp_path: Path) -> None:
    album = tmp_path / "album"
    picture(album / "x.jpg")
    colour([album], album / "colour")
    picture(album / "colour/original.jpg")
    sources = [task.source for task in plan([album], album / "colour").tasks]
    assert sources == [album / "colour/original.jpg", album / "x.jpg"]


def test_what_was_done_to_a_photograph_before_stays_in_its_record(tmp_path: Path) -> None:
    repaired = replace(PROVENANCE, kind="inpainting", model="sd")
    source = picture(tmp_path / "in/plain.png", "PNG")
    photo = read_photo(source)
    write_photo(tmp_path / "in/x.png", photo.pixels, photo, repaired)
    colour([tmp_path / "in"], tmp_path / "out")
    record = result_record(tmp_path / "out/x.png")
    assert record is not None and record.kind == "preview" and record.earlier == (repaired,)
    assert record.source_type.endswith("/compositeWithTrainedAlgorithmicMedia")
    plain = result_record(tmp_path / "out/plain.png")
    assert plain is not None and plain.earlier == ()


def test_only_results_are_redone(tmp_path: Path) -> None:
    source = picture(tmp_path / "in/x.jpg")
    (done,) = colour([source], tmp_path / "out")
    first = (tmp_path / "out/x.jpg").read_bytes()
    (skipped,) = colour([source], tmp_path / "out")
    (redone,) = colour([source], tmp_path / "out", overwrite=True)
    assert [o.status for o in (done, skipped, redone)] == ["done", "skipped", "done"]
    assert (tmp_path / "out/x.jpg").read_bytes() != first  # the record's time is another

    stranger = picture(tmp_path / "out/x.jpg", tone=9).read_bytes()
    (refused,) = colour([source], tmp_path / "out", overwrite=True)
    assert refused.status == "failed" and "not made by Heliochrome" in refused.text
    assert (tmp_path / "out/x.jpg").read_bytes() == stranger


def test_a_result_of_another_photograph_is_neither_skipped_nor_replaced(tmp_path: Path) -> None:
    first = picture(tmp_path / "1911/gran.jpg", tone=80)
    second = picture(tmp_path / "1912/gran.jpg", tone=90)
    colour([first], tmp_path / "out")
    kept = (tmp_path / "out/gran.jpg").read_bytes()
    for overwrite in (False, True):
        (outcome,) = colour([second], tmp_path / "out", overwrite)
        assert outcome.status == "failed" and "another photograph" in outcome.text
    assert (tmp_path / "out/gran.jpg").read_bytes() == kept


def test_a_photograph_named_twice_is_done_once(tmp_path: Path) -> None:
    album = tmp_path / "in"
    photo = picture(album / "x.jpg")
    assert len(plan([album, photo, photo], tmp_path / "out").tasks) == 1


def test_an_empty_file_of_a_killed_run_is_done_again(tmp_path: Path) -> None:
    source = picture(tmp_path / "in/x.jpg")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/x.jpg").touch()
    (outcome,) = colour([source], tmp_path / "out")
    assert outcome.status == "done" and (tmp_path / "out/x.jpg").stat().st_size > 0


def test_links_that_go_round_and_other_files_do_not_stop_an_album(tmp_path: Path) -> None:
    album = tmp_path / "in"
    picture(album / "x.jpg")
    (album / "loop.jpg").symlink_to("loop.jpg")
    (album / "round").symlink_to(album)
    (album / "master.heic").write_bytes(b"x")
    found = plan([album], tmp_path / "out")
    assert [path.name for path in found.left_out] == ["master.heic"]
    outcomes = list(run(found.tasks, WarmTone(), overwrite=False, cancel=never_cancel))
    assert {o.source.name: o.status for o in outcomes} == {"loop.jpg": "failed", "x.jpg": "done"}


def test_an_export_stands_only_for_the_checkpoint_it_was_made_from(tmp_path: Path) -> None:
    folder, cache = tmp_path / "models", tmp_path / "cache"
    checkpoint = micro.save(folder / "ddcolor_v2.safetensors")
    store = ModelStore([folder], cache)
    export_onnx(checkpoint, checkpoint.with_suffix(".onnx"), store.sha256(checkpoint))
    model = open_model(store, "ddcolor_v2", "onnxruntime", "cpu")
    assert model.sha256 == store.sha256(checkpoint) and not model.official
    before = weights_state(checkpoint)

    exported = onnx.load(checkpoint.with_suffix(".onnx"))
    onnx.helper.set_model_props(exported, {SOURCE_KEY: "f" * 64})
    onnx.save(exported, checkpoint.with_suffix(".onnx"))
    assert weights_state(checkpoint) != before
    again = open_model(store, "ddcolor_v2", "onnxruntime", "cpu").backend
    assert again.source_sha256 == model.sha256  # made anew, in the cache
    assert [path.stem for path in (cache / "exports").glob("*.onnx")] == [model.sha256]
    assert open_backend(checkpoint, "torch").source_sha256 is None
