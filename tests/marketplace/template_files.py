"""The deployment files of the marketplace as the tests read them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
DOCKER = HERE.parents[1] / "docker"
TEMPLATE: dict[str, Any] = yaml.safe_load(
    (DOCKER / "marketplace/ros-template.yaml").read_text("utf-8")
)
SERVICE: dict[str, Any] = yaml.safe_load(
    (DOCKER / "marketplace/compute-nest.yaml").read_text("utf-8")
)
PARAMETERS: dict[str, dict[str, Any]] = TEMPLATE["Parameters"]
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
# What the instance runs once, and the values in it.
SCRIPT, VALUES = RESOURCES["FirstStart"]["Properties"]["CommandContent"]["Fn::Sub"]


def everywhere(node: Any) -> Iterator[tuple[str, Any]]:
    """Every (key, value), at any depth."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield key, value
            yield from everywhere(value)
    elif isinstance(node, list):
        for item in node:
            yield from everywhere(item)


def of_type(kind: str) -> list[dict[str, Any]]:
    return [item["Properties"] for item in RESOURCES.values() if item["Type"] == kind]
