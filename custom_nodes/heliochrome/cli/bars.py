"""Bars on stderr while something takes long; none where stderr is not a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..core.jobs import Progress


@contextmanager
def byte_bar(label: str) -> Iterator[Progress]:
    """A bar of bytes, from the first report on."""
    from tqdm import tqdm

    bar: Any = None

    def report(done: int, total: int) -> None:
        nonlocal bar
        if bar is None or done < bar.n:
            if bar is not None:
                bar.close()
            bar = tqdm(
                desc=label,
                total=total,
                initial=done,
                unit="B",
                unit_scale=True,
                disable=not sys.stderr.isatty(),
            )
        bar.update(done - bar.n)

    try:
        yield report
    finally:
        if bar is not None:
            bar.close()


@contextmanager
def part_bar() -> Iterator[Progress]:
    """A bar of how much is done."""
    from tqdm import tqdm

    with tqdm(
        total=100, bar_format="{l_bar}{bar}| {elapsed}", disable=None, file=sys.stderr
    ) as bar:

        def report(done: int, total: int) -> None:
            bar.n = 100 * done / total
            bar.refresh()

        yield report
