"""Checkpoint file -> network. Reads official .pth / .bin / .pt and .safetensors files."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .errors import BackendUnavailable, BadWeights
from .weights_file import CHECKPOINT_SUFFIXES, refuse_impostor

if TYPE_CHECKING:
    from torch import Tensor

    from ..arch import DDColor

_WRAPPERS: Final = ("params", "params_ema", "state_dict")


def load_network(path: Path) -> DDColor:
    """A DDColor whose size follows from the tensors, in eval mode, float32.

    Raises BadWeights (names the key that is missing, extra or misshapen),
    BackendUnavailable without PyTorch.
    """
    state = load_state_dict(path)
    from ..arch import DDColor, StateDictError

    try:
        return DDColor.from_state_dict(state).float()
    except StateDictError as error:
        raise BadWeights(
            f"{path} cannot be loaded as DDColor: {error} Use an official DDColor checkpoint: "
            "`heliochrome models list` names them."
        ) from error


def load_state_dict(path: Path) -> dict[str, Tensor]:
    """Tensors by name from a raw or {"params": ...} checkpoint. Nothing in the file is executed."""
    try:
        import torch
    except ModuleNotFoundError as error:
        raise BackendUnavailable(
            f'reading {path.name} needs PyTorch: run `pip install "heliochrome[torch]"`, '
            "or use a model exported to .onnx."
        ) from error
    if path.suffix.lower() not in CHECKPOINT_SUFFIXES:
        raise BadWeights(
            f"{path}: expected a checkpoint ({', '.join(CHECKPOINT_SUFFIXES)}) or an .onnx, "
            f"got {path.suffix!r}."
        )
    refuse_impostor(path, str(path))
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors import SafetensorError
            from safetensors.torch import load_file

            try:
                tensors: dict[str, Tensor] = load_file(path)
                return tensors
            except SafetensorError as error:
                raise BadWeights(_unreadable(path, error)) from error
        found: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=None)
    except (pickle.UnpicklingError, EOFError, RuntimeError, ValueError, OSError) as error:
        raise BadWeights(_unreadable(path, error)) from error
    for wrapper in _WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
            break
    if not isinstance(found, Mapping) or not all(
        isinstance(v, torch.Tensor) for v in found.values()
    ):
        raise BadWeights(
            f"{path}: expected a state dict of tensors, got {type(found).__name__}. "
            "Use an official DDColor checkpoint."
        )
    return dict(found)


def _unreadable(path: Path, error: Exception) -> str:
    return (
        f"{path} is not a readable checkpoint ({type(error).__name__}). It is damaged, incomplete, "
        "or holds more than tensors: get it again with `heliochrome models get`."
    )
