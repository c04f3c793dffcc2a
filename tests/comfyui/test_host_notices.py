"""What had to be changed for the user is said: toast, text on the node, saved file, log."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from graphs import NAMES, drop_in, workflow
from PIL import Image
from results import pixels_in, provenance_in, saved
from running_host import Graph, Run, RunningHost

pytestmark = pytest.mark.comfyui


def odd(graph: Graph, value: str, node: str) -> Graph:
    """Put `value` into a corner of the picture that `node` gets."""
    graph["10"] = {"class_type": "OddValue", "inputs": {"image": ["1", 0], "value": value}}
    graph[node]["inputs"]["image"] = ["10", 0]
    return graph


def said(run: Run, path: Path) -> list[str]:
    """The codes; their texts must be on the node and in the file, in the same order."""
    notices = run.of("heliochrome.notice")
    texts = tuple(notice["text"] for notice in notices)
    assert [text for _, text in run.texts] == (["\n".join(texts)] if texts else [])
    assert provenance_in(path).notices == texts
    return [notice["code"] for notice in notices]


@pytest.mark.parametrize(
    ("value", "codes"),
    [
        ("nan", ["values-clipped"]),
        ("inf", ["values-clipped"]),
        ("-0.2", ["values-clipped"]),
        ("1.01", ["values-clipped"]),
        ("1.001", []),  # cannot be seen in 8 bits
        ("-0.001", []),
        ("1.0", []),
    ],
)
def test_clipped_values_are_told(
    host: RunningHost, photo: Path, value: str, codes: list[str]
) -> None:
    run = host.run(odd(drop_in(host.upload(photo), size=256), value, "2"))
    (path,) = saved(host, run, "3")
    assert said(run, path) == codes
    corner = pixels_in(path)[:8, :8].astype(int)
    white = value in ("inf", "1.01", "1.001", "1.0")
    assert np.abs(corner - (255 if white else 0)).max() <= 1


def test_a_size_between_two_steps_is_told(host: RunningHost, photo: Path) -> None:
    run = host.run(drop_in(host.upload(photo), size=300))
    (path,) = saved(host, run, "3")
    assert said(run, path) == ["size-snapped"]
    assert "288" in provenance_in(path).notices[0]
    assert provenance_in(path).parameters["network_extent"].startswith("288")


def test_a_photograph_that_has_colour_is_told(
    host: RunningHost, photo: Path, tmp_path: Path
) -> None:
    path = tmp_path / "toned.png"
    Image.merge("RGB", [Image.open(photo).point(lambda v, f=f: v * f) for f in (1, 0.8, 0.6)]).save(
        path
    )
    run = host.run(drop_in(host.upload(path), size=256))
    (result,) = saved(host, run, "3")
    assert said(run, result) == ["had-colour"]


def test_two_notices_of_the_full_node_are_both_told(host: RunningHost, photo: Path) -> None:
    graph = workflow(NAMES[0], host.upload(photo), HeliochromeColorize={"size": 300})
    run = host.run(odd(graph, "1.5", "3"))
    (path,) = saved(host, run, "5")
    assert said(run, path) == ["values-clipped", "size-snapped"]
