"""What goes wrong is said in one clear message, and stops where it should."""

from __future__ import annotations

from pathlib import Path

import pytest
from graphs import NAMES, drop_in, workflow
from running_host import Refused, RunningHost

import micro

pytestmark = pytest.mark.comfyui


@pytest.mark.parametrize("way", ["drop-in", "loader"])
def test_missing_model_is_named_with_the_command_that_gets_it(
    host: RunningHost, photo: Path, way: str
) -> None:
    name = host.upload(photo)
    graph = (
        drop_in(name, model="ddcolor_paper")
        if way == "drop-in"
        else workflow(NAMES[0], name, HeliochromeLoadDDColor={"model": "ddcolor_paper"})
    )
    failure = host.run(graph).failure
    assert failure is not None
    command = "heliochrome models get ddcolor_paper"
    english, chinese = failure.strip().split("\n")
    for part in (f"`{command}`", f"`python -m {command}`", "`preview`", str(host.base / "models")):
        assert part in english
    for part in (f"`{command}`", f"`python -m {command}`", "没有模型 ddcolor_paper", "预览"):
        assert part in chinese


def test_a_model_file_that_is_none_is_refused_by_name(host: RunningHost, photo: Path) -> None:
    broken = host.base / "models" / "ddcolor" / "family.pth"
    broken.write_bytes(b"<html>404 not found</html>")
    try:
        failure = host.run(drop_in(host.upload(photo), model="family.pth")).failure
    finally:
        broken.unlink()
    assert failure is not None
    assert "family.pth" in failure


def test_a_file_that_is_not_the_official_one_is_refused(host: RunningHost, photo: Path) -> None:
    impostor = micro.save(host.base / "models" / "ddcolor" / "ddcolor_artistic.pth")
    try:
        failure = host.run(drop_in(host.upload(photo), model="ddcolor_artistic")).failure
    finally:
        impostor.unlink()
    assert failure is not None
    assert "SHA-256" in failure
    assert "heliochrome models get ddcolor_artistic" in failure


def test_a_model_of_the_users_own_runs_under_its_file_name(host: RunningHost, photo: Path) -> None:
    own = micro.save(host.base / "models" / "ddcolor" / "family.safetensors")
    try:
        run = host.run(drop_in(host.upload(photo), model="family.safetensors", size=256))
    finally:
        own.unlink()
    assert run.failure is None


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"size": 64}, "smaller than min of 256"),
        ({"size": 4096}, "bigger than max of 1280"),
        ({"size": "large"}, "size"),
        ({"model": "ddcolor_v9"}, "ddcolor_v9"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(
    host: RunningHost, photo: Path, inputs: dict[str, object], said: str
) -> None:
    with pytest.raises(Refused) as refused:
        host.run(drop_in(host.upload(photo), **inputs))
    (error,) = refused.value.answer["node_errors"]["2"]["errors"]
    assert said in f"{error['message']} {error['details']}"


def test_unknown_preset_is_refused_with_the_known_ones(host: RunningHost, photo: Path) -> None:
    graph = workflow(NAMES[0], host.upload(photo), HeliochromeColorize={"preset": "landscape"})
    with pytest.raises(Refused) as refused:
        host.run(graph)
    (error,) = refused.value.answer["node_errors"]["3"]["errors"]
    assert "preset must be one of auto, portrait, building, got 'landscape'" in error["details"]


def test_a_linked_bad_size_stops_with_our_message(host: RunningHost, photo: Path) -> None:
    graph = drop_in(host.upload(photo), size=["9", 0])
    graph["9"] = {"class_type": "PrimitiveInt", "inputs": {"value": 64}}
    failure = host.run(graph).failure
    assert failure is not None
    assert "size must be a number from 256 to 1280" in failure


def test_cancel_stops_and_the_next_run_works(host: RunningHost, photo: Path) -> None:
    """Interrupt a batch while it is being coloured; nothing of it is saved."""
    graph = drop_in(host.upload(photo), image=["5", 0], size=1280)
    graph["5"] = {"class_type": "RepeatImageBatch", "inputs": {"image": ["1", 0], "amount": 64}}
    graph["3"]["inputs"]["filename_prefix"] = "stopped"
    run = host.run(graph, watch=lambda event: "/interrupt" if event == "progress" else None)
    assert run.of("execution_interrupted")
    assert list((host.base / "output").glob("stopped*")) == []
    assert host.run(drop_in(host.upload(photo), size=320)).failure is None
