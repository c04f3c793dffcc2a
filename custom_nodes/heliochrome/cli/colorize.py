"""`heliochrome colorize`: photographs and folders of them into a folder of coloured ones."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ..core.backends import AUTO, BACKENDS, DEVICES, PRECISIONS
from ..core.paths import from_user
from ..core.presets import (
    AUTO_PRESET,
    CHROMA_GUIDES,
    DEFAULT_PRESET,
    ENSEMBLES,
    MAX_SIZE,
    MIN_SIZE,
    PRESETS,
    RANGES,
    TUNABLE,
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
    add(
        "--preset",
        choices=(AUTO_PRESET, *PRESETS),
        default=DEFAULT_PRESET.id,
        help="default: %(default)s; auto looks at each photograph and says why",
    )
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
    add("--precision", choices=PRECISIONS, default=AUTO, help="default: %(default)s")
    add("--strength", type=float, metavar=_range("strength"), help="0 is grey, 1 full colour")
    add(
        "--saturation",
        type=float,
        metavar=_range("saturation"),
        help="1 leaves the colour as it is",
    )
    add("--chroma-guide", choices=CHROMA_GUIDES, help="how colour follows edges")
    add(
        "--chroma-limit",
        type=float,
        metavar=_range("chroma_limit"),
        help="chroma (CIE Lab) that no colour exceeds; smaller tames colour patches",
    )
    add(
        "--ensemble",
        type=int,
        choices=ENSEMBLES,
        help="forward passes at as many sizes, whose median is taken: steadier and slower",
    )
    add(
        "--skin-guard",
        type=float,
        metavar=_range("skin_guard"),
        help="bring odd skin colours in faces back",
    )
    add(
        "--reference",
        type=Path,
        metavar="PICTURE",
        help="a colour picture whose colours are taken over",
    )
    add(
        "--reference-amount",
        type=float,
        metavar=_range("reference_amount"),
        help="how far; needs --reference",
    )
    add(
        "--hints",
        type=Path,
        metavar="PICTURE",
        help="colours painted over the one photograph: same size, transparent elsewhere",
    )
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


def _range(field: str) -> str:
    return "{:g}..{:g}".format(*RANGES[field])


def run(args: argparse.Namespace) -> int:
    """Exit code 0: every photograph done or already there; 1: some failed."""
    from tqdm import tqdm

    from ..core.albums import Outcome, plan
    from ..core.albums import run as run_album
    from ..core.preview import PREVIEW_LABEL

    treatment = _treatment(args)
    photos = [from_user(photo) for photo in args.photos]
    album = plan(photos, from_user(args.output), treatment.name_suffix)
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
    from ..core.recipe import Recipe
    from ..core.store import ModelStore
    from ..core.treatment import Colorization, WarmTone

    tuned = {name: getattr(args, name) for name in TUNABLE if getattr(args, name) is not None}
    pictures = [name for name in ("reference", "hints") if getattr(args, name) is not None]
    given = [f"--{name.replace('_', '-')}" for name in (*tuned, *pictures)]
    useless = [option for option in given if option != "--size"]
    if args.reference_mode and useless:
        raise BadSetting(
            "--reference-mode reproduces the original, so these have no effect with it: "
            f"{', '.join(useless)}. Leave them out."
        )
    if args.reference_mode and args.preset == AUTO_PRESET:
        raise BadSetting("--reference-mode has no presets to choose from: leave --preset out.")
    if "reference_amount" in tuned and args.reference is None:
        raise BadSetting("--reference-amount needs a picture: add --reference PICTURE.")
    recipe = Recipe(args.preset, {**tuned, "reference_mode": args.reference_mode})
    if args.preview:
        if args.reference_mode or given:
            raise BadSetting("--preview uses no model and no settings: leave the others out.")
        return WarmTone()
    guidance = _guidance(args)
    store = ModelStore.from_environ()
    name = args.model or PRESETS.get(args.preset, DEFAULT_PRESET).model
    try:
        model = open_model(store, name, args.backend, args.device, args.precision)
    except ModelNotFound as error:
        here = [status.spec.id for status in store.status() if status.path is not None]
        use = f" Or use one that is here: --model {here[0]}." if here else ""
        raise ModelNotFound(
            f"{error}{use} To see the steps without a model, add --preview: a warm-tone picture "
            "that is not colourisation and is marked so."
        ) from error
    return Colorization(model, recipe, guidance)


def _guidance(args: argparse.Namespace) -> Any:
    """The user's pictures, read. Raises BadImage, BadSetting."""
    from ..core.errors import BadImage, BadSetting
    from ..core.guidance import Guidance
    from ..core.hints import Hints
    from ..core.lab import as_floats
    from ..core.photo import read_photo
    from ..core.reference_color import ReferenceColors

    reference = hints = None
    if args.reference is not None:
        reference = ReferenceColors.of(read_photo(from_user(args.reference)).pixels)
    if args.hints is not None:
        if len(args.photos) > 1 or args.photos[0].is_dir():
            raise BadSetting("--hints belong to one photograph: name just that one.")
        painted = read_photo(from_user(args.hints))
        if painted.alpha is None:
            raise BadImage(
                f"{args.hints}: hints are painted on a transparent layer, but this picture has no "
                "transparency. Save the layer as PNG."
            )
        cover = as_floats(painted.alpha)
        hints = Hints(painted.pixels, cover)
    return Guidance(reference, hints)


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
