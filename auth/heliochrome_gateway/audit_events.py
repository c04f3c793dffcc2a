"""What the record holds: the kinds of events, and the facts that each may state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

Fact = str | int | float | bool | None | list[str]
_LONGEST_TEXT: Final = 300
_LONGEST_LIST: Final = 50


@dataclass(frozen=True)
class Kind:
    """facts: the only ones it may state. durable: on the disk before the request goes on."""

    facts: frozenset[str] = field(default_factory=frozenset)
    durable: bool = False


def _kind(*facts: str, durable: bool = False) -> Kind:
    return Kind(frozenset(facts), durable)


# No fact can hold a photograph, a password or a prompt: there is no name for one here.
KINDS: Final[Mapping[str, Kind]] = {
    "start": _kind("version", durable=True),
    "stop": _kind(durable=True),
    "login": _kind("method", "token", durable=True),
    "logout": _kind(durable=True),
    "failure": _kind("method", "reason", durable=True),
    "lockout": _kind("method", "seconds", durable=True),
    "admin": _kind("act", "subject", "role", "token", durable=True),
    "refusal": _kind("method", "path", "rule"),
    "upload": _kind("file", "bytes", "sha256", "format", "width", "height", "outcome", "reason"),
    "run": _kind(
        "job",
        "workflow_sha256",
        "nodes",
        "models",
        "duration_s",
        "outcome",
        "photo",
        "photos",
        "preset",
        "reason",
    ),
    "download": _kind("file", "bytes", "job", "photos"),
    "delete": _kind("file", "job", "photos", "reason"),
    "repair": _kind("dropped_bytes", "dropped_sha256", durable=True),
}


def line(
    seq: int, time: str, kind: str, user: str, address: str, facts: Mapping[str, Fact], before: str
) -> bytes:
    """One line of the record, without its line break.

    time: ISO 8601, UTC. before: SHA-256 (hex) of the line before, without its line break.
    Raises ValueError for a fact that this kind does not state.
    """
    if unknown := set(facts) - KINDS[kind].facts:
        raise ValueError(f"An event {kind!r} does not state {sorted(unknown)}.")
    entry = {"seq": seq, "time": time, "kind": kind, "user": user, "address": address}
    stated = {name: _bounded(value) for name, value in facts.items() if value is not None}
    return json.dumps({**entry, **stated, "before": before}, separators=(",", ":")).encode()


def _bounded(value: Fact) -> Fact:
    """What a client names may be of any length; the record's lines are not."""
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_TEXT else f"{value[: _LONGEST_TEXT - 1]}…"
    if isinstance(value, list):
        return [str(_bounded(item)) for item in value[:_LONGEST_LIST]]
    return value
