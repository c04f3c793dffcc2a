"""`heliochrome colorize`: photographs and folders of them into a folder of coloured ones."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ..core.backends import AUTO, BACKENDS, DEVICES
from ..core.presets import (
    CHROMA_GUIDES,
    DEFAULT_PRESET,
    MAX_SIZE,
    MIN_SIZE,
    PRESETS,
)
from ..version import SOFTWARE
from .interrupt import answering_interrupt
from .output import complain, say

OK: Final = 0
SOME_FAILED: Final = 1


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "colorize",
        help="colour photographs",
        description="Colour photographs. The originals are only read; results go to another "
        "folder under the same names. A value that is not given comes from the preset.",
    )
    add = parser.add_argument
    add("photos", nargs="+", type=Path, metavar="PHOTO", help="a photograph, or a folder of them")
    add("-o", "--output", type=Path, required=True, metavar="DIR", help="folder for the results")
    add("--preset", choices=PRESETS, default=DEFAULT_PRESET.id, help="default: %(default)s")
    add("--model", metavar="ID", help="model id or weights file; see `heliochrome models list`")
    add(
        "--size",
        type=int,
        metavar="PIXELS",
        help=f"long side of what the network sees, {MIN_SIZE} to {MAX_SIZE}; the result keeps "
        "the photograph's own size",
    )
    add("--backend", choices=(AUTO, *BACKENDS), default=AUTO, help="default: %(default)s")
    add("--device", choices=DEVICES, default=AUTO, help="default: %(default)s")
    add("--strength", type=float, metavar="0..1", help="0 is grey, 1 full colour")
    add("--saturation", type=float, metavar="0..3", help="1 leaves the colour as it is")
    add("--chroma-guide", choices=CHROMA_GUIDES, help="how colour follows edges")
    add(
        "--reference-mode",
        action="store_true",
        help="reproduce the original DDColor pipeline (square input, coarse colour edges)",
    )
    add(
        "--preview",
        action="store_true",
        help="without a model: a warm-tone preview, which is not colourisation and says so",
    )
    add("--overwrite", action="store_true", help="redo results that are already there")
    add("--json", action="store_true", help="print a report as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit code 0: every photograph done or already there; 1: some failed."""
    from tqdm import tqdm

    from ..core.albums import Outcome, plan
    from ..core.albums import run as run_album
    from ..core.preview import PREVIEW_LABEL

    treatment = _treatment(args)
    photos = [photo.expanduser() for photo in args.photos]
    album = plan(photos, args.output.expanduser(), treatment.name_suffix)
    tasks = album.tasks
    if album.left_out:
        some = ", ".join(path.name for path in album.left_out[:5])
        more = " and others" if len(album.left_out) > 5 else ""
        complain(f"left out, as no photographs of a kind we read: {some}{more}")
    if args.preview:
        complain(f"heliochrome: {PREVIEW_LABEL}: no model is used.")
    outcomes: list[Outcome] = []
    started = time.monotonic()
    with (
        answering_interrupt() as cancel,
        tqdm(total=len(tasks), unit="photo", disable=None, file=sys.stderr) as bar,
    ):

        def advance(done: int, total: int) -> None:
            bar.n = len(outcomes) + done / total
            bar.refresh()

        for outcome in run_album(
            tasks, treatment, overwrite=args.overwrite, cancel=cancel, progress=advance
        ):
            outcomes.append(outcome)
            bar.n = len(outcomes)
            bar.refresh()
            if not args.json:
                with bar.external_write_mode(file=sys.stdout):
                    _tell(outcome)
    if args.json:
        say(json.dumps(_report(args, outcomes, time.monotonic() - started), indent=2))
    elif len(outcomes) > 1:
        say(", ".join(f"{number} {name}" for name, number in _counts(outcomes).items() if number))
    return SOME_FAILED if any(outcome.status == "failed" for outcome in outcomes) else OK


def _treatment(args: argparse.Namespace) -> Any:
    from ..core.errors import BadSetting, ModelNotFound
    from ..core.loading import open_model
    from ..core.settings import Settings
    from ..core.store import ModelStore
    from ..core.treatment import Colorization, WarmTone

    preset = PRESETS[args.preset]
    tuned = (args.strength, args.saturation, args.chroma_guide)
    if args.reference_mode and any(value is not None for value in tuned):
        raise BadSetting(
            "--reference-mode reproduces the original, so --strength, --saturation and "
            "--chroma-guide have no effect with it: leave them out."
        )
    settings = Settings.from_preset(
        preset,
        size=args.size,
        strength=args.strength,
        saturation=args.saturation,
        chroma_guide=args.chroma_guide,
        reference=args.reference_mode,
    )
    if args.preview:
        if args.reference_mode or args.size or any(value is not None for value in tuned):
            raise BadSetting("--preview uses no model and no settings: leave the others out.")
        return WarmTone()
    store = ModelStore.from_environ()
    try:
        model = open_model(store, args.model or preset.model, args.backend, args.device)
    except ModelNotFound as error:
        here = [status.spec.id for status in store.status() if status.path is not None]
        use = f" Or use one that is here: --model {here[0]}." if here else ""
        raise ModelNotFound(
            f"{error}{use} To see the steps without a model, add --preview: a warm-tone picture "
            "that is not colourisation and is marked so."
        ) from error
    return Colorization(model, preset.id, settings)


def _tell(outcome: Any) -> None:
    if outcome.status == "failed":
        complain(f"FAILED {outcome.text}")
        return
    if outcome.status == "skipped":
        say(f"skipped {outcome.source}: {outcome.text}")
        return
    say(f"{outcome.source} -> {outcome.target} ({outcome.seconds:.1f} s)")
    for notice in outcome.notices:
        say(f"  note: {notice}")


def _report(args: argparse.Namespace, outcomes: Sequence[Any], seconds: float) -> dict[str, Any]:
    records = [outcome.provenance for outcome in outcomes]
    return {
        "software": SOFTWARE,
        "preset": args.preset,
        "kind": "preview" if args.preview else "colorization",
        "seconds": round(seconds, 3),
        "counts": _counts(outcomes),
        "photos": [
            {
                "source": str(outcome.source),
                "target": None if outcome.target is None else str(outcome.target),
                "status": outcome.status,
                "text": outcome.text,
                "notices": list(outcome.notices),
                "network_extent": outcome.network_extent,
                "model": record and record.model,
                "model_sha256": record and record.model_sha256,
                "parameters": dict(record.parameters) if record else {},
                "seconds": round(outcome.seconds, 3),
            }
            for outcome, record in zip(outcomes, records, strict=True)
        ],
    }


def _counts(outcomes: Sequence[Any]) -> dict[str, int]:
    statuses = [outcome.status for outcome in outcomes]
    return {name: statuses.count(name) for name in ("done", "skipped", "failed")}
