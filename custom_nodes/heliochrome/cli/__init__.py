"""The `heliochrome` command: one module a subcommand."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def build_parser() -> argparse.ArgumentParser:
    """The whole command line. Each command's module adds its own part and sets `run`."""
    from ..version import SOFTWARE
    from . import colorize, doctor, export, models, quantize, sample, sd, self_test, studio, up

    parser = argparse.ArgumentParser(
        prog="heliochrome", description="Give old photographs their colour back."
    )
    parser.add_argument("--version", action="version", version=SOFTWARE)
    commands = parser.add_subparsers(dest="command", required=True)
    for command in (
        colorize, sd, models, export, quantize, doctor, self_test, sample, studio, up,
    ):  # fmt: skip
        command.register(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 2 for wrong use or an error, 130 for Ctrl-C, and 1 where
    nobody reads the output any more (`heliochrome models list | head -1`)."""
    from .output import accept_any_text, discard_the_rest, tell_what_goes_on

    accept_any_text()
    tell_what_goes_on()
    try:
        return _run(argv)
    except BrokenPipeError:
        discard_the_rest()
        return 1


def _run(argv: Sequence[str] | None) -> int:
    from ..core.errors import HeliochromeError
    from .output import complain, drop_what_cannot_be_written

    try:
        args = build_parser().parse_args(argv)
        code: int = args.run(args)
    except HeliochromeError as error:
        complain(f"heliochrome: {error}")
        return 2
    except BrokenPipeError:
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        complain(f"heliochrome: {where}{error.strerror or error}")
        drop_what_cannot_be_written()
        return 2
    except KeyboardInterrupt:
        complain("heliochrome: stopped.")
        return 130
    return code
