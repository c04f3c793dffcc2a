"""The `heliochrome` command: one module a subcommand."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 2 for wrong use or an error, 130 for Ctrl-C."""
    from ..core.errors import HeliochromeError
    from ..version import SOFTWARE
    from . import colorize, doctor, export, models, sample
    from .output import complain

    parser = argparse.ArgumentParser(
        prog="heliochrome", description="Give old photographs their colour back."
    )
    parser.add_argument("--version", action="version", version=SOFTWARE)
    commands = parser.add_subparsers(dest="command", required=True)
    for command in (colorize, models, export, doctor, sample):
        command.register(commands)
    args = parser.parse_args(argv)
    try:
        code: int = args.run(args)
    except HeliochromeError as error:
        complain(f"heliochrome: {error}")
        return 2
    except KeyboardInterrupt:
        complain("heliochrome: stopped.")
        return 130
    return code
