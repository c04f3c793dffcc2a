"""One network of a diffusion model, read from its file and run on the processor in float32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.backends.base import no_room_to_load
from ..core.errors import BadWeights
from ..core.full_memory import says_out_of_memory
from ..core.jobs import Cancel, never_cancel
from .runtime import reason, require_runtime

Feed = Mapping[str, NDArray[Any]]  # by input name


def read_component(path: Path) -> Any:
    """An `openvino.Model`. Raises BadWeights, OutOfMemory, BackendUnavailable (no runtime)."""
    core = _core()
    try:
        return core.read_model(str(path))
    except (MemoryError, RuntimeError) as error:
        if says_out_of_memory(error):
            raise no_room_to_load(path) from error
        raise BadWeights(
            f"{path} is not a readable OpenVINO model ({reason(error)}). Get it again."
        ) from error


def input_port(model: Any, name: str) -> Any:
    """The input of a network that is called `name`, by its tensor or by its node; or None."""
    return next(
        (
            port
            for port in model.inputs
            if name in port.get_names() or port.get_node().get_friendly_name() == name
        ),
        None,
    )


def first_outputs(
    path: Path, feeds: Sequence[Feed], cancel: Cancel = never_cancel
) -> list[NDArray[np.float32]]:
    """The network's first output for each feed, in float32. Raises as `read_component`."""
    model = read_component(path)
    found = []
    try:
        compiled = _core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        for feed in feeds:
            cancel()
            found.append(np.array(compiled(dict(feed))[0], np.float32))
    except (MemoryError, RuntimeError) as error:
        if says_out_of_memory(error):
            raise no_room_to_load(path) from error
        raise BadWeights(f"{path} cannot be run ({reason(error)}). Get it again.") from error
    return found


@cache
def _core() -> Any:
    require_runtime()
    import openvino

    return openvino.Core()
