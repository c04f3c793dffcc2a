"""`heliochrome sample`: draw a grey picture to try the other commands on."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from .output import say

_FORMATS: Final[Mapping[str, str]] = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("sample", help="draw a grey picture to try things on")
    parser.add_argument("file", type=Path, metavar="FILE", help="a new file, as sample.jpg")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from PIL import Image

    from ..core.errors import BadSetting
    from ..core.photo import publish
    from ..core.sample import draw_sample

    file_format = _FORMATS.get(args.file.suffix.lower())
    if file_format is None:
        raise BadSetting(
            f"{args.file}: expected a file name that ends in one of {', '.join(_FORMATS)}."
        )
    target = publish.destination(args.file, None, overwrite=False)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise publish.failed(target, f"cannot make its folder: {error.strerror}") from error
    with publish.new_file(target, overwrite=False) as file:
        Image.fromarray(draw_sample()).save(file, file_format, quality=95)
    say(str(target))
    return 0
