"""The inputs of an OpenVINO model file, read from its XML without loading the model."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import BadWeights

Shape = tuple[int | None, ...]  # None: any size


def input_shapes(path: Path) -> dict[str, Shape]:
    """Shape of each input by each of its names. Raises BadWeights (not a readable model file)."""
    from defusedxml.ElementTree import iterparse

    found: dict[str, Shape] = {}
    try:
        with path.open("rb") as file:
            for _, node in iterparse(file, forbid_dtd=True):
                if node.tag != "layer":
                    continue
                port = node.find("output/port")
                if node.get("type") == "Parameter" and port is not None:
                    sizes = [int(size.text or "") for size in port.iter("dim")]
                    shape = tuple(size if size >= 0 else None for size in sizes)
                    for name in (port.get("names") or node.get("name") or "").split(","):
                        found[name] = shape
                node.clear()  # a real UNet has thousands of layers
    except (OSError, ValueError, SyntaxError) as error:  # ParseError is a SyntaxError
        raise BadWeights(
            f"{path} is not a readable OpenVINO model: get or convert the model again."
        ) from error
    return found
