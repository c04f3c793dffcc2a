"""A Dockerfile, read: its stages, what each of them does, and what the build sees."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCKER = ROOT / "docker"
IMAGE = DOCKER / "image"


@dataclass
class Stage:
    """parent: an image or another stage. steps: (instruction, arguments), comments left out."""

    name: str
    parent: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        return [text for name, text in self.steps if name == instruction]


@dataclass
class Dockerfile:
    """arguments: those before the first stage, with their defaults."""

    arguments: dict[str, str]
    stages: dict[str, Stage]

    def lineage(self, name: str) -> list[Stage]:
        """A stage and those that it is made of, itself first."""
        found = [self.stages[name]]
        while found[-1].parent in self.stages:
            found.append(self.stages[found[-1].parent])
        return found


def read(path: Path) -> Dockerfile:
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    found = Dockerfile({}, {})
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        instruction, _, arguments = line.partition(" ")
        if instruction == "FROM":
            parent, _, name = arguments.partition(" AS ")
            found.stages[name] = Stage(name, parent)
        elif instruction and found.stages:
            list(found.stages.values())[-1].steps.append((instruction, arguments))
        elif instruction == "ARG":
            name, _, value = arguments.partition("=")
            found.arguments[name] = value
    return found


def shown_to(dockerfile: Path) -> set[str]:
    """What of the repository the build may see: its .dockerignore lets in what it names."""
    lines = dockerfile.with_name(f"{dockerfile.name}.dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    return {rule[1:] for rule in rules if rule.startswith("!")}


def copied_by(dockerfile: Dockerfile) -> set[str]:
    """What of the repository its stages copy."""
    return {
        path
        for stage in dockerfile.stages.values()
        for text in stage.all("COPY")
        if not text.startswith("--from=")
        for path in text.split()[:-1]
    }
