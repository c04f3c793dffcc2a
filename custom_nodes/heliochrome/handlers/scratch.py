"""Files that a request needs while it is answered."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from ..core.errors import OutputFailed


@contextmanager
def scratch_file() -> Iterator[BinaryIO]:
    """An empty file with a name, gone afterwards."""
    with tempfile.NamedTemporaryFile(prefix="heliochrome-") as file:
        yield file  # type: ignore[misc]  # it is one for all that matters


def append(file: BinaryIO, block: bytes) -> None:
    """Write so that others who open the file see it. Raises OutputFailed."""
    try:
        file.write(block)
        file.flush()
    except OSError as error:
        raise OutputFailed(
            f"{file.name} cannot be written ({error.strerror}): give the function more room in "
            f"{tempfile.gettempdir()}."
        ) from error
