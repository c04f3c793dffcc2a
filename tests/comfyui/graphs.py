"""Graphs that the host tests run, in API format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WORKFLOWS = Path(__file__).parents[2] / "workflows"
NAMES = ("DDColor人物黑白修复", "DDColor建筑黑白修复")
TEXT, PICTURE, REPAINT, MEND = ("文生图", "图生图", "局部重绘", "撕裂修复并上色")
ALL_NAMES = (*NAMES, TEXT, PICTURE, REPAINT, MEND)


def workflow(name: str, picture: str, **changes: dict[str, Any]) -> dict[str, Any]:
    """A shipped API workflow on `picture`; changes: class_type="inputs to replace"."""
    graph = json.loads((WORKFLOWS / "api" / f"{name}.json").read_text("utf-8"))
    for node in graph.values():
        if node["class_type"] == "LoadImage":
            node["inputs"]["image"] = picture
        node["inputs"] |= changes.get(node["class_type"], {})
    return graph


def drop_in(picture: str, **inputs: Any) -> dict[str, Any]:
    """The fragment from the issue, as people use it, with a save node behind it."""
    fragment = {
        "class_type": "DDColor-ddcolorize",
        "inputs": {"image": ["1", 0], "model": "ddcolor_v2", "size": 960},
    }
    fragment["inputs"] |= inputs
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": picture}},
        "2": fragment,
        "3": {
            "class_type": "HeliochromeSavePhoto",
            "inputs": {"image": ["2", 0], "provenance": ["2", 1], "filename_prefix": "drop_in"},
        },
    }
