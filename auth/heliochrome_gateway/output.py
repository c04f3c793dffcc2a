"""What the command line writes: results to stdout, complaints and the log to stderr."""

from __future__ import annotations

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


def show_log() -> None:
    """The gateway's own log from INFO on, everybody else's warnings."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.getLogger("heliochrome.gateway").setLevel(logging.INFO)


def discard_the_rest() -> None:
    """After a reader has gone: what is still buffered goes nowhere, also at exit.

    The recipe of the Python documentation (signal, "Note on SIGPIPE").
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
