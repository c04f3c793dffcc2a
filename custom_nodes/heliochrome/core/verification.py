"""Decide whether a model file is the one it should be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from .catalog import Catalog, ModelSpec
from .ledger import Ledger

# catalogue: the digest is a published one. first-use: it is the one the file had when it
# came here. unknown: there is nothing to compare with. recorded: there was nothing; from now
# on this digest is enforced.
State = Literal["catalogue", "first-use", "unknown", "recorded", "mismatch"]


@dataclass(frozen=True)
class Verification:
    """Outcome for one file. sha256: what it has. text: a sentence for the user."""

    model_id: str
    path: Path
    sha256: str
    state: State
    text: str

    @property
    def ok(self) -> bool:
        return self.state != "mismatch"

    @property
    def official(self) -> bool:
        """Whether it is, byte for byte, a file the model's authors have published."""
        return self.state == "catalogue"


def contradiction(catalog: Catalog, spec: ModelSpec, suffix: str, sha256: str) -> str | None:
    """Why a file with this suffix and digest cannot be the model; None if nothing is against it."""
    if sha256 in spec.known_sha256:
        return None
    other = catalog.owner_of(sha256)
    if other is not None:
        return f"it is the official file of {other.id}, not of {spec.id}"
    published = spec.sha256_for(suffix)
    if published:
        return f"its SHA-256 is {sha256}, but the catalogue says {' or '.join(sorted(published))}"
    return None


def judge(
    catalog: Catalog, ledger: Ledger, spec: ModelSpec, path: Path, sha256: str
) -> Verification:
    """Compare a digest with the catalogue, else with the first use recorded here."""

    def outcome(state: State, text: str) -> Verification:
        return Verification(spec.id, path, sha256, state, text)

    against = contradiction(catalog, spec, path.suffix, sha256)
    if against:
        return outcome(
            "mismatch",
            f"{path} must not be used as {spec.id}: {against}. Delete the file and run "
            f"`heliochrome models get {spec.id}`.",
        )
    if sha256 in spec.known_sha256:
        return outcome("catalogue", f"{path} is the official file: its SHA-256 is published.")
    seen = ledger.first_use(first_use_name(spec, path))
    if seen is None:
        return outcome("unknown", f"{path}: {_why_not_official(spec)}")
    if seen.sha256 != sha256:
        return outcome(
            "mismatch",
            f"{path} has changed since {seen.seen}: its SHA-256 was {seen.sha256} and is now "
            f"{sha256}. If you changed it yourself, run `heliochrome models import {spec.id} "
            f"{path}`; if not, delete it and run `heliochrome models get {spec.id}`.",
        )
    return outcome(
        "first-use",
        f"{path} has the SHA-256 first seen here on {seen.seen} (from {seen.origin}). "
        f"{_why_not_official(spec)}",
    )


def _why_not_official(spec: ModelSpec) -> str:
    if spec.known_sha256:
        return f"It is none of the files of {spec.id} whose SHA-256 is published."
    return "Nobody has published a SHA-256 to compare it with."


def enforce_from_now_on(ledger: Ledger, spec: ModelSpec, outcome: Verification) -> Verification:
    """Turn an unknown digest into a recorded one; any other outcome stays as it is."""
    if outcome.state != "unknown":
        return outcome
    ledger.record_first_use(first_use_name(spec, outcome.path), outcome.sha256, str(outcome.path))
    text = (
        f"{outcome.text} What it has now, {outcome.sha256}, is recorded and enforced from here on."
    )
    return replace(outcome, state="recorded", text=text)


def first_use_name(spec: ModelSpec, path: Path) -> str:
    """Under which name the digest of a file is recorded, wherever the file lies."""
    return f"{spec.id}{path.suffix}"
