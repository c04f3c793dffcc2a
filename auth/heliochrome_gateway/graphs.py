"""Workflows: only nodes that are known to be harmless, only files of the user's, bounded.

What goes on is written anew from what was checked: the host reads what we have read.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from . import owned_files
from .identity import Identity
from .ownership import Owners
from .refusals import Denied
from .settings import GatewaySettings, variable

# The pack's nodes, and the host's that the shipped workflows use or that do the same.
NODES: Final = frozenset(
    {
        "DDColor-ddcolorize",
        "HeliochromeBeforeAfter",
        "HeliochromeColorize",
        "HeliochromeImageToImage",
        "HeliochromeInpaint",
        "HeliochromeLoadDDColor",
        "HeliochromeLoadDiffusion",
        "HeliochromeSavePhoto",
        "HeliochromeTextToImage",
        "HeliochromeWarmTonePreview",
        "LoadImage",
        "LoadImageMask",
        "PreviewImage",
        "SaveImage",
    }
)
# Inputs that name a file to read, and inputs that say where to write.
_READS: Final = {"LoadImage": "image", "LoadImageMask": "image"}
_WRITES: Final = {"HeliochromeSavePhoto": "filename_prefix", "SaveImage": "filename_prefix"}
_MODELS: Final = ("ddcolor", "model", "lora")
_DEEPEST: Final = 8
_MOST_INPUTS: Final = 100
_LONGEST_TEXT: Final = 20_000
_LONGEST_ID: Final = 64


@dataclass(frozen=True)
class Workflow:
    """body: for the host's POST /prompt. digest: SHA-256 of the workflow as it was sent."""

    id: str
    body: bytes
    digest: str
    nodes: int
    models: tuple[str, ...]


class Graphs:
    def __init__(self, settings: GatewaySettings, owners: Owners) -> None:
        self._most = settings.max_graph_nodes
        self.allowed = NODES | frozenset(settings.extra_nodes)
        self._owners = owners

    def check(self, identity: Identity, body: bytes, client_id: str) -> Workflow:
        """body: of POST /prompt. client_id: who gets the messages. Raises Denied."""
        given = parse_object(body)
        graph = given.get("prompt")
        if not isinstance(graph, dict) or not graph:
            raise _wrong("it must hold a workflow in API format under `prompt`")
        if len(graph) > self._most:
            raise _wrong(f"it has {len(graph)} nodes, {self._most} are allowed")
        kept = {key: self._node(identity, key, node, graph) for key, node in graph.items()}
        run_id = _run_id(given.get("prompt_id"))
        sent: dict[str, Any] = {"prompt": kept, "prompt_id": run_id, "client_id": client_id,
                                "extra_data": _extra(given.get("extra_data"))}  # fmt: skip
        targets = given.get("partial_execution_targets")
        if targets is not None:
            if not isinstance(targets, list) or not set(map(str, targets)) <= set(graph):
                raise _wrong("`partial_execution_targets` must name nodes of the workflow")
            sent["partial_execution_targets"] = targets
        # Others wait in the same queue: only who looks after the host may jump it.
        if identity.role == "admin" and given.get("front") is True:
            sent["front"] = True
        written = json.dumps(graph, sort_keys=True, separators=(",", ":")).encode()
        models = {str(value) for node in kept.values() for name in _MODELS
                  if isinstance(value := node["inputs"].get(name), str)}  # fmt: skip
        return Workflow(
            run_id,
            json.dumps(sent).encode(),
            hashlib.sha256(written).hexdigest(),
            len(kept),
            tuple(sorted(models)),
        )

    def _node(
        self, identity: Identity, key: str, node: Any, graph: Mapping[str, Any]
    ) -> dict[str, Any]:
        kind = node.get("class_type") if isinstance(node, dict) else None
        inputs = node.get("inputs", {}) if isinstance(node, dict) else None
        if not isinstance(kind, str) or not isinstance(inputs, dict) or len(key) > _LONGEST_ID:
            raise _wrong(f"node {key[:20]!r} must have `class_type` and `inputs`")
        if kind not in self.allowed:
            raise Denied(
                403,
                "node",
                f"The node {kind[:80]!r} is not allowed here. Use Heliochrome's own workflows; "
                f"an administrator may add it to {variable('extra_nodes')}.",
                f"此处不允许使用节点 {kind[:80]!r}。请使用 Heliochrome 自带的工作流。",
            )
        if len(inputs) > _MOST_INPUTS:
            raise _wrong(f"node {key!r} has more than {_MOST_INPUTS} inputs")
        for value in inputs.values():
            _bounded(value)
            # Two items are a link, as the host reads it.
            if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
                _link(key, value, graph)
        kept = dict(inputs)
        if name := _READS.get(kind):
            file = owned_files.find(identity, self._owners, _text(key, name, inputs))
            kept[name] = file.annotated
        if name := _WRITES.get(kind):
            kept[name] = owned_files.prefix(identity, _text(key, name, inputs))
        return {"class_type": kind, "inputs": kept}


def parse_object(body: bytes) -> dict[str, Any]:
    """A JSON object that has one reading. Raises Denied (400)."""
    try:
        found = json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_never)
    except (ValueError, RecursionError) as error:
        raise _wrong("it is not JSON (RFC 8259)") from error
    if not isinstance(found, dict):
        raise _wrong("it is not a JSON object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is given twice")
    return found


def _never(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _run_id(given: Any) -> str:
    if given is None:
        return str(uuid.uuid4())
    try:
        good = isinstance(given, str) and str(uuid.UUID(given)) == given
    except ValueError:
        good = False
    if not good:
        raise _wrong("`prompt_id` must be a UUID in lower case; leave it out to get one")
    return str(given)


def _extra(given: Any) -> dict[str, Any]:
    """The workflow for the picture's metadata. Not the rest: there are keys to paid services,
    and whose messages they are."""
    pnginfo = given.get("extra_pnginfo") if isinstance(given, dict) else None
    return {"extra_pnginfo": pnginfo} if isinstance(pnginfo, dict) else {}


def _text(key: str, name: str, inputs: Mapping[str, Any]) -> str:
    """Not a link: what comes out of another node cannot be checked here."""
    value = inputs.get(name)
    if not isinstance(value, str):
        raise _wrong(f"`{name}` of node {key!r} must be a text, not a link")
    return value


def _link(key: str, value: list[Any], graph: Mapping[str, Any]) -> None:
    if value[0] not in graph or type(value[1]) is not int:
        raise _wrong(f"a link of node {key!r} leads to no node")


def _bounded(value: Any, depth: int = 0) -> None:
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        raise _wrong(f"a text is longer than {_LONGEST_TEXT} characters")
    if isinstance(value, (dict, list)):
        if depth == _DEEPEST:
            raise _wrong("an input is nested too deeply")
        for item in value.values() if isinstance(value, dict) else value:
            _bounded(item, depth + 1)


def _wrong(why: str) -> Denied:
    return Denied(
        400,
        "workflow",
        f"The workflow cannot be used: {why}. Save it anew from ComfyUI.",
        f"工作流无法使用：{why}。请从 ComfyUI 重新保存。",
    )
