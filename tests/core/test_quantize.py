"""int8: made from photographs, judged on others, and run by the runtimes that read ONNX."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import micro
from heliochrome.cli import main
from heliochrome.core.backends import open_backend, open_chosen
from heliochrome.core.child import in_child
from heliochrome.core.disk import hash_file
from heliochrome.core.errors import (
    BackendUnavailable,
    BadSetting,
    BadWeights,
    Cancelled,
    OutOfMemory,
    OutputExists,
)
from heliochrome.core.export import INT8_SUFFIX, export_onnx
from heliochrome.core.jobs import Progress, never_cancel, no_progress
from heliochrome.core.onnx_metadata import NETWORK_KEY, PRECISION_KEY, SOURCE_KEY, read_metadata
from heliochrome.core.quantize import Plan, plan, quantize
from heliochrome.core.sample import draw_sample

pytest.importorskip("nncf")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder, sample = tmp_path_factory.mktemp("photos"), Image.fromarray(draw_sample())
    for i, box in enumerate([(0, 0, 960, 720), (0, 0, 640, 640), (300, 100, 960, 500)]):
        sample.crop(box).save(folder / f"{i}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = micro.save(tmp_path_factory.mktemp("model") / "micro.safetensors")
    export_onnx(path, path.with_suffix(".onnx"), hash_file(path))
    return path


def test_an_int8_model_is_made_through_the_command_line(
    checkpoint: Path,
    photos: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HELIOCHROME_CACHE", str(tmp_path))
    assert main(["quantize", str(checkpoint), *map(str, photos), "--size", "256"]) == 0
    out = capfd.readouterr().out  # of the child process too
    target = checkpoint.with_suffix(INT8_SUFFIX)
    assert out.splitlines()[0] == str(target)
    assert "calibrated on 2 photographs, judged on the others: 2.png" in out
    assert "mean " in out and "largest " in out
    notes = read_metadata(target)
    assert notes[PRECISION_KEY] == "int8" and notes[SOURCE_KEY] == hash_file(checkpoint)
    assert notes[NETWORK_KEY] == read_metadata(checkpoint.with_suffix(".onnx"))[NETWORK_KEY]
    assert target.stat().st_size < 0.6 * checkpoint.with_suffix(".onnx").stat().st_size

    plane = np.asarray(Image.open(photos[0]).convert("L").resize((256, 192)), np.float32) / 255
    x = np.repeat(plane[None, None], 3, axis=1)
    exact = open_backend(checkpoint, "openvino").predict_ab(x)
    for backend in ("openvino", "onnxruntime"):
        opened = open_backend(
            checkpoint, backend, precision="int8", sha256=hash_file(checkpoint), cache=tmp_path
        )
        assert opened.precision == "int8" and opened.source_sha256 == hash_file(checkpoint)
        error = np.abs(opened.predict_ab(x) - exact)
        assert 0 < error.mean() < 0.5 * exact.std()  # quantised, and still the same picture
    assert open_chosen(target).backend.precision == "int8"
    assert open_chosen(checkpoint, precision="int8").backend.precision == "int8"
    assert open_backend(checkpoint, "openvino").precision == "f32"
    with pytest.raises(BackendUnavailable, match="holds int8 numbers, not f32"):
        open_backend(target, "openvino", precision="f32")
    with pytest.raises(BackendUnavailable, match="quantised from another file"):
        open_backend(checkpoint, "openvino", precision="int8", sha256="f" * 64)


@pytest.mark.parametrize("number", [0, 1])
def test_too_few_photographs_are_refused(
    checkpoint: Path, photos: list[Path], tmp_path: Path, number: int
) -> None:
    with pytest.raises(BadSetting, match="at least 2 photographs"):
        planned(checkpoint, photos[:number], tmp_path / "x.int8.onnx")


def test_what_is_no_model_is_refused(photos: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("<html>404</html>")
    with pytest.raises(BadWeights, match="not a readable ONNX model"):
        plan(path, photos, tmp_path / "x.int8.onnx", sha256="")


def planned(checkpoint: Path, photos: list[Path], target: Path, overwrite: bool = True) -> Plan:
    return plan(checkpoint, photos, target, sha256=hash_file(checkpoint), overwrite=overwrite)


def _symlink(link: Path, to: Path) -> None:
    link.symlink_to(to)


def _hard_link(link: Path, to: Path) -> None:
    link.hardlink_to(to)


@pytest.fixture
def inputs(checkpoint: Path, photos: list[Path], tmp_path: Path) -> dict[str, Path]:
    """Copies of everything that is read, in a folder of its own."""
    folder = tmp_path / "inputs"
    folder.mkdir()
    names = {"weights": checkpoint, "export": checkpoint.with_suffix(".onnx")}
    for path in (*names.values(), *photos):
        (folder / path.name).write_bytes(path.read_bytes())
    found = {name: folder / path.name for name, path in names.items()}
    return found | {"photo": folder / photos[0].name, "held out": folder / photos[-1].name}


@pytest.mark.parametrize("name", ["weights", "export", "photo", "held out"])
@pytest.mark.parametrize("link", [None, _symlink, _hard_link], ids=["itself", "symlink", "hard"])
def test_no_input_is_ever_overwritten(
    inputs: dict[str, Path], tmp_path: Path, name: str, link: object
) -> None:
    photos = sorted(inputs["photo"].parent.glob("*.png"))
    target = inputs[name] if link is None else tmp_path / "x.onnx"
    if callable(link):
        link(target, inputs[name])
    before = {path: path.read_bytes() for path in inputs.values()}
    with pytest.raises(
        (OutputExists, BadSetting), match=r"never overwritten|does not end in \.onnx"
    ):
        planned(inputs["weights"], photos, target)
    assert {path: path.read_bytes() for path in inputs.values()} == before


def test_the_place_of_the_float32_export_stays_free_for_it(
    inputs: dict[str, Path], tmp_path: Path
) -> None:
    beside = inputs["export"]
    beside.unlink()
    with pytest.raises(OutputExists, match="never overwritten"):
        planned(inputs["weights"], [inputs["photo"], inputs["held out"]], beside)


def test_only_onnx_files_are_written(checkpoint: Path, photos: list[Path], tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("mine")
    (tmp_path / "x.onnx").symlink_to(note)
    for target in (note, tmp_path / "x.onnx", tmp_path / "new.safetensors"):
        with pytest.raises(BadSetting, match=r"does not end in \.onnx"):
            planned(checkpoint, photos, target)
    assert note.read_text() == "mine"


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_what_is_there_is_not_replaced_unasked(
    checkpoint: Path, photos: list[Path], tmp_path: Path, kind: str
) -> None:
    target = tmp_path / "x.onnx"
    if kind == "file":
        target.write_bytes(b"x")
    elif kind == "folder":
        target.mkdir()
    else:
        target.symlink_to(tmp_path / "nowhere.onnx")
    with pytest.raises(OutputExists, match="--overwrite"):
        planned(checkpoint, photos, target, overwrite=kind == "folder")


@pytest.mark.parametrize("share", [0, 0.02, 0.3, 0.96], ids=["start", "read", "nncf", "judging"])
def test_cancelling_leaves_no_file_and_no_open_network(
    checkpoint: Path,
    photos: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    share: float,
) -> None:
    from heliochrome.core.backends.openvino import OpenVinoBackend

    opened, closed = [], []
    init, close = OpenVinoBackend.__init__, OpenVinoBackend.close
    monkeypatch.setattr(
        OpenVinoBackend, "__init__", lambda self, *a: (opened.append(self), init(self, *a))[1]
    )
    monkeypatch.setattr(
        OpenVinoBackend, "close", lambda self: (closed.append(self), close(self))[1]
    )
    reached = [0.0]

    def cancel() -> None:
        if reached[-1] >= share:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        quantize(
            planned(checkpoint, photos, tmp_path / "new/x.onnx"),
            256,
            progress=lambda done, total: reached.append(done / total),
            cancel=cancel,
        )
    assert reached == sorted(reached) and reached[-1] < 1
    assert list(tmp_path.rglob("*.onnx")) == []
    assert len(opened) == (2 if share > 0.9 else 1)
    assert set(closed) == set(opened)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="children are found in /proc")
def test_ctrl_c_of_a_terminal_stops_it_while_nncf_works(
    checkpoint: Path, photos: list[Path], tmp_path: Path
) -> None:
    target = tmp_path / "x.onnx"
    command = [sys.executable, "-m", "heliochrome", "quantize", str(checkpoint)]
    process = subprocess.Popen(
        [*command, *map(str, photos), "--size", "256", "-o", str(target)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HELIOCHROME_CACHE": str(tmp_path / "cache")},
        start_new_session=True,
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    nncf = []
    while not nncf:
        assert process.poll() is None
        time.sleep(0.02)
        nncf = [
            pid
            for pid in children.read_text().split()
            if "onnxruntime" in Path(f"/proc/{pid}/maps").read_text()  # not a mere helper
        ]
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the parent and its children
    asked = time.monotonic()
    _, complaint = process.communicate(timeout=20)
    assert time.monotonic() - asked < 5
    assert process.returncode == 130
    assert "Traceback" not in complaint and "heliochrome: stopped." in complaint
    assert list(tmp_path.rglob("*.onnx")) == []
    assert not Path(f"/proc/{nncf[0]}").exists()


def _killed(progress: Progress) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _full(progress: Progress) -> None:
    raise MemoryError


def _refusing(progress: Progress) -> None:
    raise BadSetting("no")


def _broken(progress: Progress) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("work", "error", "text"),
    [
        (_killed, OutOfMemory, "the system ended it"),
        (_full, OutOfMemory, "not enough memory"),
        (_refusing, BadSetting, "^no$"),
        (_broken, BackendUnavailable, "exit code 1"),
    ],
)
def test_how_a_child_ends_is_told(work: object, error: type[Exception], text: str) -> None:
    assert callable(work)
    with pytest.raises(error, match=text):
        in_child("it", work, progress=no_progress, cancel=never_cancel)
