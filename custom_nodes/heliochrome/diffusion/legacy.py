"""The model files of stable_diffusion.openvino (2022) in the layout that openvino-genai loads.

What is known of them is from that program, stable_diffusion_engine.py: fixed shapes, a UNet that
sees the empty and the real prompt at once, a decoder that is given the latents as they are (the
division by the scale is inside), an encoder that gives the moments.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..core.errors import BadWeights, ModelNotFound
from ..core.extent import Extent
from ..core.jobs import Cancel, Progress, never_cancel, no_progress, part
from .clip_tokenizer import last_token, put_tokenizer, require_tokenizer
from .component import input_port, read_component
from .layout import CONFIG
from .legacy_check import Change, compare, vocabulary
from .model import INDEX, MODEL
from .publishing import new_model
from .schedulers import CONFIG as SCHEDULER

SCALE: Final = 0.18215  # of the latents of Stable Diffusion 1
_PARTS: Final = ("text_encoder", "unet", "vae_decoder", "vae_encoder")
_OPTIONAL: Final = "vae_encoder"
# Of CompVis/stable-diffusion-v1-4, which these files are made from.
_SCHEDULER: Final = {
    "_class_name": "PNDMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "skip_prk_steps": True,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "timestep_spacing": "leading",
    "clip_sample": False,
}
_WORK: Final = 0.5  # the share of converting in the whole; then comes comparing


@dataclass(frozen=True)
class Converted:
    """native: the only size the model can make. encoder: whether it can start from pictures.

    differences: by component, the largest difference of its outputs from the original's, as a
    part of their largest value.
    """

    folder: Path
    native: Extent
    encoder: bool
    differences: dict[str, float]


@dataclass(frozen=True)
class _Sizes:
    """What the shapes of the files say. text: tokens, width. latent: batch, channels, h, w."""

    tokens: int
    width: int
    batch: int
    channels: int
    latent: Extent
    picture: Extent


def convert(
    source: Path,
    target: Path,
    *,
    tokenizer: Path,
    progress: Progress = no_progress,
    cancel: Cancel = never_cancel,
) -> Converted:
    """Make the model folder `target` from the old files in `source`, which are only read.

    tokenizer: a folder with openvino_tokenizer.xml, or CLIP's vocab.json and merges.txt. Every
    component is run beside its original; one that differs is refused, with the reason. `target`
    appears whole or not at all. Raises `ModelNotFound`, `BadWeights`, `OutputExists`,
    `CannotWrite`, `OutOfMemory`, `BackendUnavailable`, and what `cancel` raises.
    """
    there = _require_files(source)
    require_tokenizer(tokenizer)
    with new_model(target, f"converted from {source.resolve().name}", cancel) as folder:
        models = {name: read_component(source / f"{name}.xml") for name in there}
        sizes = _sizes(models)
        known = vocabulary(models.pop("text_encoder"), source / "text_encoder.xml")
        put_tokenizer(tokenizer, folder / "tokenizer", sizes.tokens)
        if (last := last_token(folder / "tokenizer")) != known - 1:
            raise BadWeights(
                f"the tokenizer in {tokenizer} ends with token {last}, but the text encoder with "
                f"{known - 1}: it belongs to another model."
            )
        changes = _write(source, folder, there, sizes, part(progress, 0, _WORK), cancel)
        _write_texts(folder, sizes, _OPTIONAL in there)
        differences = compare(changes, part(progress, _WORK, 1), cancel)
    return Converted(target, sizes.picture, _OPTIONAL in there, differences)


def _require_files(source: Path) -> tuple[str, ...]:
    """The components that are there; raises `ModelNotFound` naming the files that are missing."""
    there = tuple(
        name
        for name in _PARTS
        if name != _OPTIONAL or (source / f"{name}.xml").is_file()  # the first models had none
    )
    wanted = [f"{name}.{suffix}" for name in there for suffix in ("xml", "bin")]
    lost = [name for name in wanted if not (source / name).is_file()]
    if lost:
        raise ModelNotFound(
            f"{source} is not a model of stable_diffusion.openvino: {', '.join(lost)} is missing."
        )
    return there


def _sizes(models: dict[str, Any]) -> _Sizes:
    """Raises `BadWeights` if the shapes are not fixed, or the components do not fit together."""
    _, tokens = _shape(models, "text_encoder", "tokens", 2)
    *_, width = _shape(models, "text_encoder", None, 3)
    batch, channels, height, across = _shape(models, "unet", "latent_model_input", 4)
    latent = Extent(across, height)
    *_, out_height, out_width = _shape(models, "vae_decoder", None, 4)
    picture = Extent(out_width, out_height)
    expected: dict[tuple[str, str | None], tuple[int, ...]] = {
        ("unet", "encoder_hidden_states"): (batch, tokens, width),
        ("vae_decoder", "latents"): (1, channels, height, across),
    }
    if _OPTIONAL in models:
        expected[_OPTIONAL, "init_image"] = (1, 3, out_height, out_width)
        expected[_OPTIONAL, None] = (1, 2 * channels, height, across)
    for (name, port), shape in expected.items():
        found = _shape(models, name, port, len(shape))
        if found != shape:
            raise BadWeights(
                f"{name}.xml does not belong to the others: its {port or 'output'} has the shape "
                f"{found}, expected {shape}."
            )
    ratio = out_height // height
    if ratio & (ratio - 1) or (ratio * height, ratio * across) != (out_height, out_width):
        raise BadWeights(f"vae_decoder.xml enlarges by {out_height}/{height}, no power of two.")
    if batch not in (1, 2):
        raise BadWeights(f"unet.xml takes {batch} pictures at once; 1 or 2 expected.")
    return _Sizes(tokens, width, batch, channels, latent, picture)


def _shape(models: dict[str, Any], name: str, port: str | None, rank: int) -> tuple[int, ...]:
    """The fixed shape of an input, or of the first output."""
    model = models[name]
    found = model.outputs[0] if port is None else _input(model, name, port)
    shape = found.get_partial_shape()
    if shape.is_dynamic or len(shape) != rank:
        raise BadWeights(
            f"{name}.xml: {port or 'its output'} has the shape {shape}; {rank} fixed sizes "
            "expected."
        )
    return tuple(shape.to_shape())


def _input(model: Any, name: str, port: str) -> Any:
    found = input_port(model, port)
    if found is not None:
        return found
    there = ", ".join(other.get_node().get_friendly_name() for other in model.inputs)
    raise BadWeights(f"{name}.xml has no input {port!r}; it has {there}.")


def _write(
    source: Path,
    folder: Path,
    there: tuple[str, ...],
    sizes: _Sizes,
    progress: Progress,
    cancel: Cancel,
) -> list[Change]:
    """Save every changed component; what has to be compared afterwards."""
    import openvino

    from . import legacy_graphs as graphs

    change: dict[str, Callable[[Any], Any]] = {
        "text_encoder": lambda model: graphs.both_prompts(model, "tokens", sizes.batch),
        "unet": graphs.whole_number_steps,
        "vae_decoder": lambda model: graphs.scaled_latents(model, SCALE),
        "vae_encoder": graphs.moments,
    }
    for done, name in enumerate(there):
        progress(done, len(there))
        cancel()
        model = change[name](read_component(source / f"{name}.xml"))
        (folder / name).mkdir()
        openvino.save_model(model, folder / name / MODEL, compress_to_fp16=False)
    progress(len(there), len(there))
    return [
        Change(name, source / f"{name}.xml", folder / name / MODEL, sizes.batch, SCALE)
        for name in there
    ]


def _write_texts(folder: Path, sizes: _Sizes, encoder: bool) -> None:
    levels = (sizes.picture.height // sizes.latent.height).bit_length()
    vae = {
        "_class_name": "AutoencoderKL",
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": sizes.channels,
        "scaling_factor": SCALE,
        "block_out_channels": [128, 256, 512, 512, 512, 512][:levels],
    }
    texts: dict[str, dict[str, Any]] = {
        f"text_encoder/{CONFIG}": {
            "_class_name": "CLIPTextModel",
            "max_position_embeddings": sizes.tokens,
            "hidden_size": sizes.width,
            "num_hidden_layers": 12,
        },
        f"unet/{CONFIG}": {
            "_class_name": "UNet2DConditionModel",
            "in_channels": sizes.channels,
            "out_channels": sizes.channels,
            "sample_size": sizes.latent.height,
            "cross_attention_dim": sizes.width,
            "time_cond_proj_dim": None,
        },
        f"vae_decoder/{CONFIG}": vae,
        SCHEDULER: _SCHEDULER,
        INDEX: {
            "_class_name": "StableDiffusionPipeline",
            "scheduler": ["diffusers", "PNDMScheduler"],
            "text_encoder": ["optimum", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "unet": ["optimum", "UNet2DConditionModel"],
            "vae": ["optimum", "AutoencoderKL"],
        },
    }
    if encoder:
        texts[f"vae_encoder/{CONFIG}"] = vae
    for name, content in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
