"""The deployment files, read: variables filled in as the frameworks would, intrinsics as tuples."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
LAMBDA = ROOT / "docker/lambda"
FC = ROOT / "docker/fc"

# What a person sets before deploying.
ENVIRONMENT = {
    "HELIOCHROME_IMAGE": "000000000000.dkr.ecr.eu-central-1.amazonaws.com/heliochrome@sha256:"
    + "0" * 64,
    "HELIOCHROME_BUCKET": "photographs-of-ours",
    "HELIOCHROME_DIFFUSION_MODEL": "stable-diffusion",
    "HELIOCHROME_ACCOUNT": "1234567890123456",
    "HELIOCHROME_LOG_PROJECT": "logs",
    "HELIOCHROME_LOG_STORE": "heliochrome",
    "HELIOCHROME_VPC": "vpc-1",
    "HELIOCHROME_VSWITCH": "vsw-1",
    "HELIOCHROME_SECURITY_GROUP": "sg-1",
    "HELIOCHROME_NAS": "nas.example",
}


class _Loader(yaml.SafeLoader):
    """Knows CloudFormation's short forms: `!Ref X` is ("Ref", "X")."""


def _intrinsic(loader: _Loader, name: str, node: yaml.Node) -> tuple[str, Any]:
    if isinstance(node, yaml.SequenceNode):
        return name, loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.ScalarNode)
    return name, loader.construct_scalar(node)


_Loader.add_multi_constructor("!", _intrinsic)


def serverless() -> dict[str, Any]:
    """serverless.yml with ${self:...}, ${env:...} and ${sls:stage} filled in."""
    found = yaml.load((LAMBDA / "serverless.yml").read_text("utf-8"), _Loader)

    def value(expression: str) -> str:
        kind, _, rest = expression.partition(":")
        name, _, default = rest.partition(", ")
        if kind == "env":
            return ENVIRONMENT[name] if name in ENVIRONMENT else default.strip("'")
        if kind == "sls":
            return "prod"
        if kind == "opt":
            return "eu-central-1"
        if kind != "self":
            return "${" + expression + "}"  # CloudFormation's own
        here: Any = found
        for step in name.split("."):
            here = here[step]
        return str(here)

    return _filled(found, r"\$\{([^}]+)\}", value)


def function_compute() -> dict[str, Any]:
    """s.yaml with ${vars...} and ${env(...)} filled in."""
    found = yaml.safe_load((FC / "s.yaml").read_text("utf-8"))

    def value(expression: str) -> str:
        if expression.startswith("vars."):
            return str(found["vars"][expression.removeprefix("vars.")])
        match = re.fullmatch(r"env\('(\w+)'(?:, '(.*)')?\)", expression)
        assert match, expression
        return ENVIRONMENT[match[1]] if match[1] in ENVIRONMENT else match[2]

    return _filled(found, r"\$\{([^}]+)\}", value)


def _filled(node: Any, pattern: str, value: Any) -> Any:
    if isinstance(node, Mapping):
        return {name: _filled(item, pattern, value) for name, item in node.items()}
    if isinstance(node, list | tuple):
        return type(node)(_filled(item, pattern, value) for item in node)
    while isinstance(node, str):  # what is filled in may hold variables itself
        after = re.sub(pattern, lambda match: value(match[1]), node)
        if after == node:
            return int(after) if after.isdigit() and len(after) < 9 else after
        node = after
    return node


def listed(value: Any) -> list[Any]:
    """IAM and others take one of a thing without a list."""
    return value if isinstance(value, list) else [value]
