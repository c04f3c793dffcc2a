"""A latent diffusion pipeline with random weights, of some 200 kB, in openvino-genai's layout.

Built from OpenVINO's own operations in well under a second; nothing is downloaded. It is shaped
like Stable Diffusion where that matters: the UNet halves three times and joins what it kept (a
size that is no multiple of 64 breaks it), attends to the prompt and knows the time step; the VAE
encoder gives the mean and the logarithm of the variance. The VAE keeps colours: what is made from a
picture looks like it. `weights` alone knows the numbers: `build` puts them into OpenVINO, the
goldens' script puts them into PyTorch.
"""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as op

Weights = dict[str, NDArray[np.float32]]
Kind = Literal["sd1", "lcm", "inpaint"]

TOKENIZER = Path(__file__).parent / "data" / "diffusion" / "tokenizer"
TOKENS = 77
VOCABULARY = len(json.loads((TOKENIZER / "vocab.json").read_text(encoding="utf-8")))
LATENTS = 4
SCALING = 0.18215  # of Stable Diffusion 1 and 2: latents are the encoder's mean times this
GUIDANCE_WIDTH = 8  # of LCM's embedded guidance scale
LOG_VARIANCE = -6.0  # a little noise in the encoder, as in the real one
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


@dataclass(frozen=True)
class Shape:
    """How wide the networks are; `side` is the native size in latents (8 pixels each)."""

    channels: tuple[int, int, int, int] = (8, 12, 16, 16)
    context: int = 16
    side: int = 8


TINY = Shape()


def in_channels(kind: Kind) -> int:
    """Of the UNet: an inpainting model also sees the mask and the masked picture's latents."""
    return 2 * LATENTS + 1 if kind == "inpaint" else LATENTS


def weights(seed: int = 0, kind: Kind = "sd1", shape: Shape = TINY) -> Weights:
    """Every number of the pipeline by name; the same on every system."""
    draws = np.random.RandomState(seed)
    made: Weights = {}

    def draw(name: str, *size: int, gain: float = 1.0) -> None:
        spread = gain / math.sqrt(math.prod(size[1:]) or 1)
        made[name] = (draws.standard_normal(size) * spread).astype(np.float32)

    width, deepest = shape.context, shape.channels[-1]
    draw("text.embedding", VOCABULARY, width, gain=math.sqrt(width))
    draw("text.position", TOKENS, width, gain=0.3 * math.sqrt(width))
    draw("text.mix", width, width)
    first = shape.channels[0]
    draw("unet.conv_in", first, in_channels(kind), 3, 3)
    draw("unet.time", first, 2 * first)
    if kind == "lcm":
        draw("unet.guidance", first, GUIDANCE_WIDTH)
    for level, (wide, deep) in enumerate(zip(shape.channels, shape.channels[1:], strict=False)):
        draw(f"unet.down.{level}", deep, wide, 3, 3, gain=1.5)
        draw(f"unet.up.{level}", wide, wide + deep, 3, 3, gain=1.5)
    draw("unet.to_q", deepest, deepest, gain=2.0)
    draw("unet.to_k", deepest, width, gain=2.0)
    draw("unet.to_v", deepest, width, gain=4.0)
    draw("unet.to_out", deepest, deepest, gain=4.0)
    draw("unet.conv_out", LATENTS, first, 3, 3, gain=0.12)
    made["unet.known"] = noise_share()
    # Columns at right angles: the decoder's first step undoes the encoder.
    colours = np.linalg.qr(draws.standard_normal((LATENTS, 3)))[0].astype(np.float32)
    made["vae.encode"] = np.concatenate([colours / SCALING, np.zeros_like(colours)])
    made["vae.decode"] = np.ascontiguousarray(colours.T * SCALING)
    draw("vae.texture_in", 8, LATENTS, 3, 3, gain=SCALING)
    draw("vae.texture_out", 3, 8, 3, 3, gain=0.3)
    return made


def noise_share(spread: float = 0.5) -> NDArray[np.float32]:
    """(1000,): by time step, the share of a noisy latent that is noise, if pictures spread so.

    With it alone the UNet would be the best denoiser of pictures that are noise themselves, so that
    the pictures stay within range over any number of steps.
    """
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    kept = np.cumprod(1 - betas)
    return (np.sqrt(1 - kept) / (kept * spread**2 + 1 - kept)).astype(np.float32)


def constant(value: Any, kind: Any = np.float32) -> Any:
    return op.constant(np.asarray(value, kind))


def parameter(name: str, shape: list[int], kind: ov.Type = ov.Type.f32) -> Any:
    node = op.parameter(ov.PartialShape(shape), kind, name=name)
    node.output(0).get_tensor().set_names({name})
    return node


def convolution(x: Any, weight: NDArray[np.float32], name: str, stride: int = 1) -> Any:
    edge = weight.shape[-1] // 2
    return op.convolution(
        x, op.constant(weight), [stride] * 2, [edge] * 2, [edge] * 2, [1, 1], name=name
    )


def linear(x: Any, weight: NDArray[np.float32], name: str) -> Any:
    """x @ weight.T, named as an exported torch.nn.Linear is: LoRA finds layers by that."""
    return op.matmul(x, op.constant(weight), False, True, name=f"{name}/aten::linear/MatMul")


def enlarge(x: Any, factor: int) -> Any:
    return op.interpolate(
        x,
        constant([factor, factor]),
        "nearest",
        "scales",
        axes=constant([2, 3], np.int64),
        pads_begin=[0, 0],
        pads_end=[0, 0],
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


def text_encoder(w: Weights) -> ov.Model:
    """input_ids (B, 77) -> last_hidden_state (B, 77, context)."""
    ids = parameter("input_ids", [-1, TOKENS], ov.Type.i64)
    found = op.gather(op.constant(w["text.embedding"]), ids, constant(0, np.int64))
    placed = op.add(found, constant(w["text.position"][None]))
    hidden = op.tanh(linear(placed, w["text.mix"], "__module.text_model.encoder.layers.0.mlp.fc1"))
    return model("text_encoder", [ids], hidden, "last_hidden_state")


def time_frequencies(half: int) -> NDArray[np.float32]:
    """(1, half): as in diffusers' Timesteps."""
    return np.exp(-math.log(10000.0) * np.arange(half) / half).astype(np.float32)[None]


def unet(w: Weights, kind: Kind = "sd1") -> ov.Model:
    """sample (B, C, h, w), timestep (1 or B), context (B, 77, width) -> noise (B, 4, h, w)."""
    width, first = w["unet.to_k"].shape[1], w["unet.conv_in"].shape[0]
    sample = parameter("sample", [-1, in_channels(kind), -1, -1])
    timestep = parameter("timestep", [-1], ov.Type.i64)
    context = parameter("encoder_hidden_states", [-1, -1, width])
    inputs = [sample, timestep, context]

    angle = op.multiply(
        op.unsqueeze(op.convert(timestep, ov.Type.f32), constant([1], np.int64)),
        constant(time_frequencies(first)),
    )
    waves = op.concat([op.cos(angle), op.sin(angle)], 1)
    moment = linear(waves, w["unet.time"], "__module.time_embedding.linear_1")
    if kind == "lcm":
        inputs.append(parameter("timestep_cond", [-1, GUIDANCE_WIDTH]))
        moment = op.add(moment, linear(inputs[-1], w["unet.guidance"], "__module.cond_proj"))
    everywhere = op.unsqueeze(moment, constant([2, 3], np.int64))
    kept = [
        op.swish(op.add(convolution(sample, w["unet.conv_in"], "__module.conv_in"), everywhere))
    ]
    levels = sum(name.startswith("unet.down.") for name in w)
    for level in range(levels):
        name = f"__module.down_blocks.{level}.downsamplers.0.conv"
        kept.append(op.swish(convolution(kept[-1], w[f"unet.down.{level}"], name, stride=2)))
    h = op.add(kept[-1], attention(kept.pop(), context, w))
    for level in reversed(range(levels)):
        joined = op.concat([enlarge(h, 2), kept.pop()], 1)
        name = f"__module.up_blocks.{level}.upsamplers.0.conv"
        h = op.swish(convolution(joined, w[f"unet.up.{level}"], name))
    painted = convolution(h, w["unet.conv_out"], "__module.conv_out")
    known = op.unsqueeze(
        op.gather(op.constant(w["unet.known"]), timestep, constant(0, np.int64)),
        constant([1, 2, 3], np.int64),
    )
    latents = op.slice(sample, *(constant([n], np.int64) for n in (0, LATENTS, 1, 1)))
    return model("unet", inputs, op.add(op.multiply(latents, known), painted), "out_sample")


def attention(h: Any, context: Any, w: Weights) -> Any:
    """Every place of `h` (B, C, y, x) looks at the prompt's tokens; one head."""
    layer = "__module.mid_block.attentions.0.transformer_blocks.0.attn2"
    places = op.transpose(
        op.reshape(h, constant([0, w["unet.to_q"].shape[0], -1], np.int64), True),
        constant([0, 2, 1], np.int64),
    )
    q = linear(places, w["unet.to_q"], f"{layer}.to_q")
    k = linear(context, w["unet.to_k"], f"{layer}.to_k")
    v = linear(context, w["unet.to_v"], f"{layer}.to_v")
    scores = op.multiply(op.matmul(q, k, False, True), constant(w["unet.to_q"].shape[0] ** -0.5))
    seen = linear(
        op.matmul(op.softmax(scores, 2), v, False, False), w["unet.to_out"], f"{layer}.to_out.0"
    )
    return op.reshape(op.transpose(seen, constant([0, 2, 1], np.int64)), op.shape_of(h), False)


def encoder(w: Weights) -> ov.Model:
    """sample (B, 3, 8h, 8w) in [-1, 1] -> (B, 8, h, w): mean, then logarithm of the variance."""
    sample = parameter("sample", [-1, 3, -1, -1])
    seen = op.avg_pool(sample, [8, 8], [0, 0], [0, 0], [8, 8], False)
    moments = convolution(seen, w["vae.encode"][:, :, None, None], "__module.encoder.conv_out")
    offset = np.repeat([0.0, LOG_VARIANCE], LATENTS)[None, :, None, None]
    return model("vae_encoder", [sample], op.add(moments, constant(offset)), "latent_parameters")


def decoder(w: Weights) -> ov.Model:
    """latent_sample (B, 4, h, w) -> picture (B, 3, 8h, 8w), in [-1, 1] and a little beyond."""
    latent = parameter("latent_sample", [-1, LATENTS, -1, -1])
    colour = convolution(latent, w["vae.decode"][:, :, None, None], "__module.decoder.conv_in")
    texture = op.swish(convolution(latent, w["vae.texture_in"], "__module.decoder.texture_in"))
    fine = convolution(enlarge(texture, 8), w["vae.texture_out"], "__module.decoder.texture_out")
    return model("vae_decoder", [latent], op.add(enlarge(colour, 8), fine), "sample")


def model(name: str, inputs: list[Any], output: Any, output_name: str) -> ov.Model:
    made = ov.Model([op.result(output)], inputs, name)
    made.outputs[0].get_tensor().set_names({output_name})
    return made


def configurations(kind: Kind, shape: Shape) -> dict[str, dict[str, object]]:
    """Each JSON file of the folder by its path; only what is read by openvino-genai or by us."""
    pipeline = {
        "sd1": "StableDiffusionPipeline",
        "lcm": "LatentConsistencyModelPipeline",
        "inpaint": "StableDiffusionInpaintPipeline",
    }[kind]
    scheduler = SCHEDULER | ({"_class_name": "LCMScheduler"} if kind == "lcm" else {})
    vae: dict[str, object] = {
        "_class_name": "AutoencoderKL",
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": LATENTS,
        "scaling_factor": SCALING,
        "block_out_channels": [8, 8, 8, 8],  # their number makes a latent 8 pixels
    }
    return {
        "text_encoder/config.json": {
            "_class_name": "CLIPTextModel",
            "max_position_embeddings": TOKENS,
            "hidden_size": shape.context,
            "num_hidden_layers": 1,
        },
        "unet/config.json": {
            "_class_name": "UNet2DConditionModel",
            "in_channels": in_channels(kind),
            "out_channels": LATENTS,
            "sample_size": shape.side,
            "block_out_channels": list(shape.channels),
            "cross_attention_dim": shape.context,
            "time_cond_proj_dim": GUIDANCE_WIDTH if kind == "lcm" else None,
        },
        "vae_encoder/config.json": vae,
        "vae_decoder/config.json": vae,
        "scheduler/scheduler_config.json": scheduler,
        "model_index.json": {
            "_class_name": pipeline,
            "scheduler": ["diffusers", scheduler["_class_name"]],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        },
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
    models = {
        "text_encoder": text_encoder(w),
        "unet": unet(w, kind),
        "vae_decoder": decoder(w),
    } | ({"vae_encoder": encoder(w)} if vae_encoder else {})
    for name, made in models.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        ov.save_model(made, folder / name / "openvino_model.xml", compress_to_fp16=False)
    for path, fields in configurations(kind, shape).items():
        if (folder / path).parent.exists() or not path.startswith("vae_encoder"):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")
    shutil.copytree(TOKENIZER, folder / "tokenizer", dirs_exist_ok=True)
    return folder
