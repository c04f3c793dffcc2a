"""The workflow that colours one photograph, in ComfyUI's API format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..core.presets import AUTO_PRESET, DEFAULT_PRESET, PRESETS, RANGES, TUNABLE
from .records import Order


@dataclass(frozen=True)
class _Node:
    id: str
    kind: str

    def output(self, index: int) -> list[Any]:
        return [self.id, index]


_LOADER: Final = _Node("1", "LoadImage")
_MODEL: Final = _Node("2", "HeliochromeLoadDDColor")
_PAINT: Final = _Node("3", "HeliochromeColorize")
SAVER: Final = _Node("4", "HeliochromeSavePhoto")
PAINTER: Final = _PAINT.id
# Of the node's outputs: the picture, the confidence, the record.
_PICTURE, _RECORD = 0, 2
# With the automatic preset these are bounds, so the widest.
_BOUNDS: Final = ("size", "chroma_limit", "skin_guard")


def graph(order: Order, model: str, image: str, prefix: str) -> dict[str, Any]:
    """image: as LoadImage takes it; prefix: of the result's file name, in the temporary folder."""
    preset = PRESETS.get(order.preset, DEFAULT_PRESET)
    values: dict[str, Any] = {name: getattr(preset, name) for name in TUNABLE}
    if order.preset == AUTO_PRESET:
        for name in _BOUNDS:
            values[name] = type(values[name])(RANGES[name][1])
    inputs: Mapping[_Node, dict[str, Any]] = {
        _LOADER: {"image": image},
        _MODEL: {
            "model": model,
            "backend": "auto",
            "device": "auto",
            "preview": order.preview,
            "precision": "auto",
        },
        _PAINT: {
            "image": _LOADER.output(0),
            "ddcolor": _MODEL.output(0),
            "preset": order.preset,
            "measure_confidence": False,
            **values,
        },
        SAVER: {
            "image": _PAINT.output(_PICTURE),
            "provenance": _PAINT.output(_RECORD),
            "filename_prefix": prefix,
            "folder": "temp",
        },
    }
    return {node.id: {"class_type": node.kind, "inputs": given} for node, given in inputs.items()}
