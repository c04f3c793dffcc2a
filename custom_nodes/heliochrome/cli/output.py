"""What the command line writes: results to stdout, complaints to stderr."""

from __future__ import annotations

import io
import logging
import os
import sys


def say(text: str) -> None:
    """Write a result line to stdout."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """Write an error or a warning to stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


class _Complaining(logging.Handler):
    """What the core logs, on stderr as it is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        complain(f"heliochrome: {record.getMessage()}")


def tell_what_goes_on() -> None:
    """Show the core's log from INFO on: exporting and measuring take a while and must be seen."""
    log = logging.getLogger("heliochrome")
    if not any(isinstance(handler, _Complaining) for handler in log.handlers):
        log.addHandler(_Complaining(logging.INFO))
        log.setLevel(logging.INFO)


def accept_any_text() -> None:
    """Write a character that the terminal's encoding lacks as \\uXXXX, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def drop_what_cannot_be_written() -> None:
    """Keep output that a full disk refused from being tried, and reported, again at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        discard_the_rest()


def discard_the_rest() -> None:
    """After a reader has gone: let what is still buffered go nowhere, also at exit.

    The recipe of the Python documentation (signal, "Note on SIGPIPE").
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
