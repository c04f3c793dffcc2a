"""A latent diffusion pipeline with random weights, of some 250 kB, in openvino-genai's layout.

Built from OpenVINO's own operations in well under a second; nothing is downloaded. It is shaped
like Stable Diffusion where that matters: the UNet halves three times and joins what it kept (a
size that is no multiple of 64 breaks it), attends to the prompt and knows the time step; the VAE
encoder gives the mean and the logarithm of the variance. The VAE keeps colours: what is made
from a picture looks like it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from safetensors.numpy import save_file

from tiny_diffusion_networks import (
    GUIDANCE_WIDTH,
    LATENTS,
    MIDDLE,
    TINY,
    TOKENIZER,
    TOKENS,
    Kind,
    Shape,
    encoders,
    in_channels,
    scaling,
    text_encoder,
    unet,
    weights,
)
from tiny_diffusion_networks import vae_decoder as decoder
from tiny_diffusion_networks import vae_encoder as encoder

PIPELINES: dict[Kind, str] = {
    "sd1": "StableDiffusionPipeline",
    "lcm": "LatentConsistencyModelPipeline",
    "inpaint": "StableDiffusionInpaintPipeline",
    "sdxl": "StableDiffusionXLPipeline",
}
SCHEDULER: dict[str, object] = {
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
LORA_RANK = 2
_ATTENTION = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2"
LORA_LAYERS = {  # name in `weights`: in a LoRA file
    "text_encoder.mix": "lora_te_text_model_encoder_layers_0_mlp_fc1",
    "unet.to_q": f"{_ATTENTION}_to_q",
    "unet.to_k": f"{_ATTENTION}_to_k",
    "unet.to_v": f"{_ATTENTION}_to_v",
}


def build(
    folder: Path,
    *,
    seed: int = 0,
    kind: Kind = "sd1",
    vae_encoder: bool = True,
    shape: Shape = TINY,
) -> Path:
    """Write the pipeline into `folder` (made if missing) and return it. Native: 64 x 64."""
    w = weights(seed, kind, shape)
    models = {name: text_encoder(w, kind, name) for name in encoders(kind)}
    models |= {"unet": unet(w, kind), "vae_decoder": decoder(w)}
    if vae_encoder:
        models["vae_encoder"] = encoder(w)
    for name, model in models.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        ov.save_model(model, folder / name / "openvino_model.xml", compress_to_fp16=False)
        _write(folder / name / "config.json", _configuration(name, kind, shape))
        if name in encoders(kind):
            tokenizer = folder / name.replace("text_encoder", "tokenizer")
            shutil.copytree(TOKENIZER, tokenizer, dirs_exist_ok=True)
    (folder / "scheduler").mkdir(exist_ok=True)
    scheduler = SCHEDULER | ({"_class_name": "LCMScheduler"} if kind == "lcm" else {})
    _write(folder / "scheduler" / "scheduler_config.json", scheduler)
    _write(folder / "model_index.json", _index(kind, str(scheduler["_class_name"])))
    return folder


def middle(folder: Path, *, seed: int = 0) -> Path:
    """The same with a UNet of 98 convolutions, for timing. Native: 256 x 256."""
    return build(folder, seed=seed, shape=MIDDLE)


def lora(
    path: Path, *, seed: int = 0, shape: Shape = TINY, gain: float = 1.0, alpha: float = LORA_RANK
) -> Path:
    """Write a LoRA in kohya's naming (.safetensors) that fits `build`'s sd1, lcm and inpaint.

    alpha: the file's own; at its rank the factors count in full.
    """
    tensors = {}
    for weight, (up, down) in lora_factors(seed, shape, gain).items():
        tensors[f"{LORA_LAYERS[weight]}.lora_down.weight"] = down
        tensors[f"{LORA_LAYERS[weight]}.lora_up.weight"] = up
        tensors[f"{LORA_LAYERS[weight]}.alpha"] = np.array(alpha, np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    return path


def lora_factors(
    seed: int = 0, shape: Shape = TINY, gain: float = 1.0
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Name in `weights` -> what `lora` writes: (out, rank) and (rank, in)."""
    draws = np.random.RandomState(seed)
    found = {}
    for weight in LORA_LAYERS:
        rows, columns = shape.channels[-1], shape.context
        if weight == "text_encoder.mix":
            rows = columns
        elif weight == "unet.to_q":
            columns = rows
        down = draws.standard_normal((LORA_RANK, columns)) / columns**0.5
        up = draws.standard_normal((rows, LORA_RANK)) * gain
        found[weight] = up.astype(np.float32), down.astype(np.float32)
    return found


def _configuration(name: str, kind: Kind, shape: Shape) -> dict[str, object]:
    """A component's config.json: only what openvino-genai or we read."""
    if name.startswith("text_encoder"):
        projected = name == "text_encoder_2"
        return {
            "_class_name": "CLIPTextModelWithProjection" if projected else "CLIPTextModel",
            "max_position_embeddings": TOKENS,
            "hidden_size": shape.context,
            "num_hidden_layers": 1,
        }
    if name == "unet":
        return {
            "_class_name": "UNet2DConditionModel",
            "in_channels": in_channels(kind),
            "out_channels": LATENTS,
            "sample_size": shape.side,
            "block_out_channels": list(shape.channels),
            "cross_attention_dim": shape.context * len(encoders(kind)),
            "time_cond_proj_dim": GUIDANCE_WIDTH if kind == "lcm" else None,
        }
    return {
        "_class_name": "AutoencoderKL",
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": LATENTS,
        "scaling_factor": scaling(kind),
        "block_out_channels": [8, 8, 8, 8],  # their number makes a latent 8 pixels
    }


def _index(kind: Kind, scheduler: str) -> dict[str, object]:
    second: dict[str, object] = {
        "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
        "tokenizer_2": ["transformers", "CLIPTokenizer"],
        "force_zeros_for_empty_prompt": True,
    }
    return {
        "_class_name": PIPELINES[kind],
        "scheduler": ["diffusers", scheduler],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    } | (second if kind == "sdxl" else {})


def _write(path: Path, fields: dict[str, object]) -> None:
    path.write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")
