"""Which files make up a model folder, in the layout that openvino-genai loads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..core.errors import BadWeights
from .model import INDEX, MODEL, PIPELINES, tokenizer_of
from .schedulers import CONFIG as SCHEDULER

WEIGHTS, CONFIG = "openvino_model.bin", "config.json"
TOKENIZER: Final = ("openvino_tokenizer.xml", "openvino_tokenizer.bin")

_NETWORK: Final = (MODEL, WEIGHTS, CONFIG)
TOKENIZER_EXTRAS: Final = (
    "openvino_detokenizer.xml",
    "openvino_detokenizer.bin",
    "config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
)
_LONGEST_INDEX: Final = 1 << 20  # bytes; real ones have about a thousand


@dataclass(frozen=True)
class Layout:
    """Paths below the folder, with /. optional: not every model has them (no encoder: the model
    only makes pictures from text)."""

    required: tuple[str, ...]
    optional: tuple[str, ...]

    @property
    def files(self) -> tuple[str, ...]:
        return (*self.required, *self.optional)


def layout_of(index: bytes, origin: str) -> Layout:
    """The files that a model_index.json asks for. Names come from here, never from the file.

    Raises `BadWeights`; `origin` is what the message calls the file.
    """
    pipeline = str(_object(index, origin).get("_class_name"))
    if pipeline not in PIPELINES:
        raise BadWeights(
            f"{origin} is of a {pipeline}; Heliochrome runs {', '.join(PIPELINES)}. Choose another "
            "model."
        )
    texts = PIPELINES[pipeline].texts
    tokenizers = [tokenizer_of(text) for text in texts]
    networks = [*texts, "unet", "vae_decoder"]
    return Layout(
        (
            INDEX,
            SCHEDULER,
            *_below(networks, _NETWORK),
            *_below(tokenizers, TOKENIZER),
        ),
        (*_below(["vae_encoder"], _NETWORK), *_below(tokenizers, TOKENIZER_EXTRAS)),
    )


def is_model(folder: Path) -> bool:
    """Whether a folder looks like a model; folders that cannot be read do not."""
    try:
        return (folder / INDEX).is_file()
    except PermissionError:
        return False


def require_whole(folder: Path) -> Layout:
    """The layout of a folder that has every required file. Raises `BadWeights`."""
    path = folder / INDEX
    try:
        index = path.read_bytes()
    except OSError as error:
        raise BadWeights(f"{path} cannot be read: {error.strerror}.") from error
    layout = layout_of(index, str(path))
    lost = [name for name in layout.required if not (folder / name).is_file()]
    if lost:
        raise BadWeights(f"{folder} is not whole: {', '.join(lost)} is missing. Get it again.")
    return layout


def _object(text: bytes, origin: str) -> Mapping[str, Any]:
    if len(text) > _LONGEST_INDEX:
        raise BadWeights(f"{origin} is not the index of a model: it has {len(text)} bytes.")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadWeights(f"{origin} is not the index of a model: {error}.") from error
    if not isinstance(data, dict):
        raise BadWeights(f"{origin} is not the index of a model: it holds no JSON object.")
    return data


def _below(folders: Sequence[str], names: tuple[str, ...]) -> list[str]:
    return [f"{folder}/{name}" for folder in folders for name in names]
