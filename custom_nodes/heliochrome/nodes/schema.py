"""What all our nodes declare alike: the category, our socket types, the schema itself."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from comfy_api.latest import io

CATEGORY: Final = "Heliochrome"
DIFFUSION_CATEGORY: Final = f"{CATEGORY}/Stable Diffusion"

ModelSocket = io.Custom("HELIOCHROME_MODEL")
DiffusionSocket = io.Custom("HELIOCHROME_DIFFUSION")
ProvenanceSocket = io.Custom("HELIOCHROME_PROVENANCE")


def schema(category: str = CATEGORY, **keywords: Any) -> io.Schema:
    """An `io.Schema` of the keywords this host knows.

    One keyword unknown to an older host (`search_aliases` on 0.3.64) would make it
    refuse the whole pack; leaving it out only costs the convenience.
    """
    known = {field.name for field in dataclasses.fields(io.Schema)}
    return io.Schema(
        category=category, **{name: value for name, value in keywords.items() if name in known}
    )
