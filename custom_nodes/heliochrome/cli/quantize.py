"""`heliochrome quantize`: an int8 model beside the checkpoint, calibrated on photographs."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..core.paths import from_user
from ..core.presets import DEFAULT_PRESET, MAX_SIZE, MIN_SIZE
from .bars import part_bar
from .interrupt import answering_interrupt
from .output import complain, say


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "quantize",
        help="make an int8 model",
        description="Make an int8 model for `--precision int8`, calibrated on your photographs, "
        "and say how far it is from the original. Needs the int8 extra.",
    )
    add = parser.add_argument
    add("model", metavar="MODEL", help="model id or weights file")
    add("photos", nargs="+", type=Path, metavar="PHOTO", help="photographs to calibrate on")
    add("-o", "--output", type=Path, metavar="FILE", help="default: beside the weights")
    add(
        "--size",
        type=int,
        default=DEFAULT_PRESET.size,
        metavar="PIXELS",
        help=f"long side of what the network sees, {MIN_SIZE} to {MAX_SIZE}; default: %(default)s",
    )
    add("--overwrite", action="store_true", help="replace an older file")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from ..core.errors import BadSetting
    from ..core.export import INT8_SUFFIX
    from ..core.quantize import plan, quantize
    from ..core.store import ModelStore
    from ..core.weights_file import refuse_impostor

    if not MIN_SIZE <= args.size <= MAX_SIZE:
        raise BadSetting(f"--size must be {MIN_SIZE} to {MAX_SIZE}, got {args.size}.")
    store = ModelStore.from_environ()
    named = args.model in store.catalog.models
    weights = store.find(args.model) if named else from_user(args.model)
    refuse_impostor(weights, str(weights))
    target = from_user(args.output or weights.with_suffix(INT8_SUFFIX))
    complain(f"quantising {weights} on {len(args.photos)} photographs (some minutes)")
    planned = plan(
        weights,
        [from_user(photo) for photo in args.photos],
        target,
        sha256=store.sha256(weights),
        cache=store.cache,
        overwrite=args.overwrite,
    )
    with answering_interrupt() as cancel, part_bar() as progress:
        made = quantize(planned, args.size, progress=progress, cancel=cancel)
    judged = ", ".join(photo.name for photo in made.judged_on)
    say(str(made.path))
    say(f"calibrated on {len(made.calibrated_on)} photographs, judged on the others: {judged}")
    say(f"difference from float32 in a* and b*: mean {made.mean_ab:.2f}, largest {made.max_ab:.1f}")
    say(f"one forward pass: {made.seconds:.2f} s, in float32 {made.f32_seconds:.2f} s")
    return 0
