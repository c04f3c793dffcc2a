"""What the command line writes: results to stdout, complaints to stderr."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Write a result line to stdout."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """Write an error or a warning to stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
