"""What a model folder holds, read from its JSON files and model shapes, never from names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..core.errors import BadWeights, ModelNotFound
from ..core.extent import Extent
from .ir import Shape, input_shapes
from .request import MODES, Mode
from .schedulers import SchedulerConfig, read_scheduler

INDEX: Final = "model_index.json"
MODEL: Final = "openvino_model.xml"  # in each component's folder, its .bin beside it
LCM_STEPS: Final = 4
_MOST: Final = 10_000  # any number in these files
_MOST_LEVELS: Final = 10
_LEVELS: Final = 4  # of Stable Diffusion's UNet, where its file does not tell


@dataclass(frozen=True)
class _Pipeline:
    """A pipeline class: its text encoders, what it can do, diffusers' defaults."""

    texts: tuple[str, ...]
    modes: tuple[Mode, ...]
    steps: int
    guidance: float


_ONE: Final = ("text_encoder",)
_TWO: Final = ("text_encoder", "text_encoder_2")
PIPELINES: Final = {
    "StableDiffusionPipeline": _Pipeline(_ONE, MODES, 50, 7.5),
    "StableDiffusionInpaintPipeline": _Pipeline(_ONE, ("inpaint",), 50, 7.5),
    "LatentConsistencyModelPipeline": _Pipeline(_ONE, MODES, LCM_STEPS, 8.5),
    "StableDiffusionXLPipeline": _Pipeline(_TWO, MODES, 50, 5.0),
    "StableDiffusionXLInpaintPipeline": _Pipeline(_TWO, ("inpaint",), 50, 7.5),
}


@dataclass(frozen=True)
class DiffusionModel:
    """A model folder in OpenVINO GenAI's layout.

    pipeline: its class name. size_step: width and height are multiples of this. native: the size
    that it was trained for. fixed: the only size it can make, None if it can make others.
    max_tokens: what it reads of a prompt, its two marks included. needs_guidance: guidance_scale
    must be more than 1; without_guidance: it must not be (both: converted models with fixed
    shapes). tokenizers: folders, one for each text encoder. linear_preview: its latents are those
    of Stable Diffusion 1 and 2.
    """

    folder: Path
    name: str
    pipeline: str
    size_step: int
    native: Extent
    fixed: Extent | None
    max_tokens: int
    modes: tuple[Mode, ...]
    needs_guidance: bool
    without_guidance: bool
    lcm: bool
    default_steps: int
    default_guidance: float
    scheduler: str
    scheduler_config: SchedulerConfig
    tokenizers: tuple[Path, ...]
    linear_preview: bool


def read_model(folder: Path) -> DiffusionModel:
    """Read everything but the weights. Raises ModelNotFound, BadWeights."""
    index = _index(folder)
    pipeline = str(index.get("_class_name"))
    if pipeline not in PIPELINES:
        raise BadWeights(
            f"{folder} holds a {pipeline}; Heliochrome runs {', '.join(PIPELINES)}. "
            "Choose another model."
        )
    kind = PIPELINES[pipeline]
    encoder = (folder / "vae_encoder").is_dir()
    parts = (*kind.texts, "unet", "vae_decoder", *(["vae_encoder"] if encoder else []))
    _require_files(folder, parts, kind.texts)
    unet, vae = _Config(folder, "unet"), _Config(folder, "vae_decoder")
    scheduler = read_scheduler(folder)
    latent = 2 ** (vae.levels(0) - 1)
    step = latent * 2 ** (unet.levels(_LEVELS) - 1)
    side = unet.whole("sample_size", 64) * latent
    channels = vae.whole("latent_channels", 4)
    modes = _modes(kind, unet.whole("in_channels", 4), channels, encoder)
    if not modes:
        raise BadWeights(f"{folder} only repaints, but has no vae_encoder: get the whole model.")
    sample = _sample(folder)
    fixed = None
    if None not in sample[2:]:
        fixed = Extent((sample[3] or 0) * latent, (sample[2] or 0) * latent)
    lcm = unet.whole("time_cond_proj_dim", 0) > 0
    alone = sample[0] == 1 and not lcm
    return DiffusionModel(
        folder=folder,
        name=folder.resolve().name,
        pipeline=pipeline,
        size_step=step,
        native=fixed or Extent(side, side),
        fixed=fixed,
        max_tokens=min(
            _Config(folder, text).whole("max_position_embeddings", 77) for text in kind.texts
        ),
        modes=modes,
        needs_guidance=sample[0] == 2 and not lcm,
        without_guidance=alone,
        lcm=lcm,
        default_steps=LCM_STEPS if lcm or scheduler.name == "lcm" else kind.steps,
        default_guidance=1.0 if alone else kind.guidance,
        scheduler=scheduler.name,
        scheduler_config=scheduler,
        tokenizers=tuple(folder / tokenizer_of(text) for text in kind.texts),
        linear_preview=channels == 4 and len(kind.texts) == 1,
    )


def tokenizer_of(text_encoder: str) -> str:
    """The folder of a text encoder's tokenizer: OpenVINO GenAI finds it by the same rule."""
    return text_encoder.replace("text_encoder", "tokenizer")


def _index(folder: Path) -> Mapping[str, Any]:
    if not folder.is_dir():
        raise ModelNotFound(
            f"there is no model folder {folder}: give the folder of a Stable Diffusion model in "
            "OpenVINO's format."
        )
    if "text_encoder" in str(folder):
        # OpenVINO GenAI makes the tokenizer's path of the whole path of the text encoder.
        raise BadWeights(
            f"the path {folder} holds the word text_encoder, by which OpenVINO GenAI would look "
            "for the tokenizer in another folder: rename the folder."
        )
    if not (folder / INDEX).is_file():
        if (folder / "unet.xml").is_file():
            raise BadWeights(
                f"{folder} is a model of stable_diffusion.openvino: convert it once with "
                f"`heliochrome sd convert {folder} NEW_FOLDER --tokenizer FOLDER`."
            )
        raise ModelNotFound(
            f"{folder} holds no {INDEX}: give the folder that holds it, beside unet, vae_decoder "
            "and text_encoder."
        )
    return _json(folder / INDEX)


def _require_files(folder: Path, parts: tuple[str, ...], texts: tuple[str, ...]) -> None:
    wanted = [f"{part}/{MODEL}" for part in parts]
    wanted += [f"{tokenizer_of(text)}/openvino_tokenizer.xml" for text in texts]
    wanted += [name.removesuffix(".xml") + ".bin" for name in wanted]
    lost = [name for name in sorted(wanted) if not (folder / name).is_file()]
    if not lost:
        return
    torch = (folder / "unet" / "diffusion_pytorch_model.safetensors").is_file()
    todo = (
        "it is a PyTorch model, export it with `optimum-cli export openvino`"
        if torch
        else "get or convert the model again"
    )
    raise BadWeights(f"{folder} lacks {', '.join(lost)}: {todo}.")


def _modes(kind: _Pipeline, inputs: int, channels: int, encoder: bool) -> tuple[Mode, ...]:
    if inputs == 2 * channels + 1:  # it also sees the mask and what is kept of the picture
        return ("inpaint",) if encoder else ()
    return kind.modes if encoder else tuple(mode for mode in kind.modes if mode == MODES[0])


def _sample(folder: Path) -> Shape:
    """Shape of the UNet's latents: (batch, channels, height, width)."""
    path = folder / "unet" / MODEL
    sample = input_shapes(path).get("sample")
    if sample is None or len(sample) != 4:
        raise BadWeights(
            f"{path} has no input 'sample' of four dimensions, so it is no Stable Diffusion UNet: "
            "get or convert the model again."
        )
    return sample


class _Config:
    """config.json of a part of the model."""

    def __init__(self, folder: Path, part: str) -> None:
        self._path = folder / part / "config.json"
        self._fields = _json(self._path)

    def whole(self, name: str, otherwise: int) -> int:
        """A whole number, not 0; null counts as left out. Raises BadWeights."""
        found = self._fields.get(name)
        if found is None:
            return otherwise
        if isinstance(found, bool) or not isinstance(found, int) or not 1 <= found <= _MOST:
            raise self._wrong(name, "a whole number", found)
        return found

    def levels(self, otherwise: int) -> int:
        """On how many sizes the network works, each half of the one before. Raises BadWeights."""
        found = self._fields.get("block_out_channels") or []
        if not isinstance(found, list) or not 1 <= (len(found) or otherwise) <= _MOST_LEVELS:
            raise self._wrong("block_out_channels", "a list", found)
        return len(found) or otherwise

    def _wrong(self, name: str, expected: str, found: object) -> BadWeights:
        return BadWeights(
            f"{self._path}: {name} must be {expected}, got {str(found)[:60]}: get the model again."
        )


def _json(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadWeights(f"{path} cannot be read ({error}): get the model again.") from error
    if not isinstance(found, dict):
        raise BadWeights(f"{path} does not hold a JSON object: get the model again.")
    return found
