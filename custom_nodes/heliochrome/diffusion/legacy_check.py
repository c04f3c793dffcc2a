"""Whether a converted network still says what its original says, on random inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BadWeights
from ..core.jobs import Cancel, Progress
from .component import Feed, first_outputs, input_port, read_component

# Of the largest value. Only the order of float32 sums may differ, some 1e-6; anything that was
# mistaken (a scale, a prompt, a time step) is off by far more.
TOLERANCE: Final = 1e-3
_ROUNDS: Final = 2
_TIME_STEPS: Final = 1000
_INPUTS: Final = (
    "tokens",
    "latent_model_input",
    "t",
    "encoder_hidden_states",
    "latents",
    "init_image",
)


@dataclass(frozen=True)
class Change:
    """A component before and after. batch: pictures (and prompts) that the UNet sees at once."""

    name: str
    original: Path
    converted: Path
    batch: int
    scale: float


def compare(changes: Sequence[Change], progress: Progress, cancel: Cancel) -> dict[str, float]:
    """The largest difference of each component, as a part of the original's largest value.

    Raises `BadWeights` for one above `TOLERANCE`, or whose original gives numbers that are not
    finite; and as `first_outputs`. Only one network is in memory at a time.
    """
    found = {}
    for done, change in enumerate(changes):
        progress(done, len(changes))
        draws = np.random.default_rng(done)
        before, after = _feeds(change, draws)
        old = first_outputs(change.original, before, cancel)
        if change.name == "text_encoder":
            old = [
                np.concatenate(old[at : at + change.batch])
                for at in range(0, len(old), change.batch)
            ]
        new = first_outputs(change.converted, after, cancel)
        found[change.name] = _difference(change, old, new)
    progress(len(changes), len(changes))
    return found


def _difference(
    change: Change, old: list[NDArray[np.float32]], new: list[NDArray[np.float32]]
) -> float:
    if not all(np.isfinite(output).all() for output in old):
        raise BadWeights(
            f"{change.original} gives numbers that are not finite: the file is damaged. "
            "Nothing was converted."
        )
    worst = max(
        float(np.abs(b - a).max() / max(float(np.abs(a).max()), np.finfo(np.float32).tiny))
        if a.shape == b.shape
        else float("inf")
        for a, b in zip(old, new, strict=True)
    )
    if not worst <= TOLERANCE:  # NaN is refused, too
        raise BadWeights(
            f"the converted {change.name} differs from {change.original} by {worst:.2g} of its "
            f"largest value; at most {TOLERANCE:g} is allowed. Nothing was converted: these files "
            "are not what stable_diffusion.openvino used."
        )
    return worst


def _feeds(change: Change, draws: np.random.Generator) -> tuple[list[Feed], list[Feed]]:
    """The same inputs under the names and in the form of the original, and of the converted."""
    model = read_component(change.original)
    ports = {name: input_port(model, name) for name in _INPUTS}
    ports = {name: port for name, port in ports.items() if port is not None}
    shapes = {name: list(port.get_partial_shape().to_shape()) for name, port in ports.items()}
    types = {name: port.get_element_type().to_dtype() for name, port in ports.items()}
    before: list[Feed] = []
    after: list[Feed] = []
    if change.name == "text_encoder":
        rows = vocabulary(model, change.original)
        for _ in range(_ROUNDS):
            ids = draws.integers(0, rows, (change.batch, shapes["tokens"][1]))
            before += [{"tokens": one[None].astype(types["tokens"])} for one in ids]
            after.append({"input_ids": ids})
    elif change.name == "unet":
        for step in draws.integers(0, _TIME_STEPS, _ROUNDS):
            sample, context = (
                _normal(draws, shapes[name])
                for name in ("latent_model_input", "encoder_hidden_states")
            )
            shared = {"encoder_hidden_states": context}
            t = np.full(shapes["t"], step, types["t"])
            before.append({"latent_model_input": sample, "t": t, **shared})
            after.append({"sample": sample, "timestep": np.array([step]), **shared})
    elif change.name == "vae_decoder":
        for _ in range(_ROUNDS):
            latents = _normal(draws, shapes["latents"])
            before.append({"latents": latents})
            after.append({"latent_sample": latents / np.float32(change.scale)})
    else:
        for _ in range(_ROUNDS):
            picture = draws.uniform(-1, 1, shapes["init_image"]).astype(np.float32)
            before.append({"init_image": picture})
            after.append({"sample": picture})
    return before, after


def _normal(draws: np.random.Generator, shape: list[int]) -> NDArray[np.float32]:
    return draws.standard_normal(shape, np.float32)


def vocabulary(model: Any, origin: Path) -> int:
    """How many tokens the text encoder knows: the rows of the table that it looks them up in.

    Raises `BadWeights`, which calls it `origin`.
    """
    reached = [model.inputs[0].get_node()]
    for node in reached:
        for reader in node.output(0).get_target_inputs():
            found = reader.get_node()
            if found.get_type_name() == "Gather" and reader.get_index() == 1:
                return int(found.input(0).get_partial_shape()[0].get_length())
            if found.get_output_size() == 1 and len(reached) < 20:
                reached.append(found)
    raise BadWeights(f"{origin} does not look its tokens up in a table: it is no text encoder.")
