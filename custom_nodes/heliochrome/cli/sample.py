"""`heliochrome sample`: draw a grey picture to try the other commands on."""

from __future__ import annotations

import argparse
from pathlib import Path

from .output import say


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("sample", help="draw a grey picture to try things on")
    parser.add_argument("file", type=Path, metavar="FILE", help="a new file, as sample.jpg")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    import io

    from PIL import Image

    from ..core.errors import BadSetting, OutputExists
    from ..core.sample import draw_sample

    known = Image.registered_extensions()
    suffix = args.file.suffix.lower()
    if suffix not in known:
        raise BadSetting(f"{args.file}: expected a file name ending in .jpg or .png.")
    encoded = io.BytesIO()
    Image.fromarray(draw_sample()).save(encoded, known[suffix], quality=95)
    args.file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with args.file.open("xb") as file:
            file.write(encoded.getvalue())
    except FileExistsError as error:
        raise OutputExists(f"{args.file} is already there: name a new file.") from error
    say(str(args.file))
    return 0
