"""The networks of the tiny diffusion pipeline: their numbers, and graphs of OpenVINO operations.

`weights` alone knows the numbers; tests/data/diffusion/make_goldens.py puts the same into PyTorch.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as op

from tiny_opset import constant, convolution, enlarge, linear, model, parameter

Weights = dict[str, NDArray[np.float32]]
Kind = Literal["sd1", "lcm", "inpaint", "sdxl"]

TOKENIZER = Path(__file__).parent / "data" / "diffusion" / "tokenizer"
TOKENS = 77
VOCABULARY = len(json.loads((TOKENIZER / "vocab.json").read_text(encoding="utf-8")))
LATENTS = 4
GUIDANCE_WIDTH = 8  # of LCM's embedded guidance scale
LOG_VARIANCE = -6.0  # a little noise in the encoder, as in the real one
TIME_IDS = 6  # SDXL is told the sizes before and after cropping
# Three columns at right angles, of length one: the decoder's first step undoes the encoder.
COLOURS = np.array([[1, 1, 1], [1, -1, 1], [1, 1, -1], [1, -1, -1]], np.float32) / 2


@dataclass(frozen=True)
class Shape:
    """How large the networks are; `side` is the native size in latents (8 pixels each)."""

    channels: tuple[int, ...] = (8, 12, 16, 16)
    blocks: int = 0  # further ones at each level, going down and coming up
    context: int = 16
    side: int = 8


TINY = Shape()
# 98 convolutions, as many as Stable Diffusion 1.5's UNet has: compiling takes its time.
MIDDLE = Shape(channels=(64, 128, 192, 256), blocks=15, context=64, side=32)


def scaling(kind: Kind) -> float:
    """Latents are the encoder's mean times this; the numbers are those of the real models."""
    return 0.13025 if kind == "sdxl" else 0.18215


def in_channels(kind: Kind) -> int:
    """Of the UNet: an inpainting model also sees the mask and the masked picture's latents."""
    return 2 * LATENTS + 1 if kind == "inpaint" else LATENTS


def encoders(kind: Kind) -> tuple[str, ...]:
    """The text encoders by the names of their folders; the UNet sees their outputs side by side."""
    return ("text_encoder", "text_encoder_2") if kind == "sdxl" else ("text_encoder",)


def weights(seed: int = 0, kind: Kind = "sd1", shape: Shape = TINY) -> Weights:
    """Every number of the pipeline by name; the same on every system."""
    draws = np.random.RandomState(seed)
    made: Weights = {}

    def draw(name: str, *size: int, gain: float = 1.0) -> None:
        spread = gain / math.sqrt(math.prod(size[1:]))
        made[name] = (draws.standard_normal(size) * spread).astype(np.float32)

    wide, first, deepest = shape.context, shape.channels[0], shape.channels[-1]
    for encoder in encoders(kind):
        draw(f"{encoder}.embedding", VOCABULARY, wide, gain=math.sqrt(wide))
        draw(f"{encoder}.position", TOKENS, wide, gain=0.3 * math.sqrt(wide))
        draw(f"{encoder}.mix", wide, wide)
    seen = wide * len(encoders(kind))
    draw("unet.conv_in", first, in_channels(kind), 3, 3)
    draw("unet.time", first, 2 * first)
    if kind == "lcm":
        draw("unet.guidance", first, GUIDANCE_WIDTH)
    if kind == "sdxl":
        draw("unet.added", first, wide + TIME_IDS, gain=0.3)
    for level, (fine, coarse) in enumerate(zip(shape.channels, shape.channels[1:], strict=False)):
        draw(f"unet.down.{level}", coarse, fine, 3, 3, gain=1.5)
        draw(f"unet.up.{level}", fine, fine + coarse, 3, 3, gain=1.5)
        for block in range(shape.blocks):
            draw(f"unet.down.{level}.{block}", fine, fine, 3, 3, gain=0.2)
            draw(f"unet.up.{level}.{block}", fine, fine, 3, 3, gain=0.2)
    # An empty prompt is nothing but zeros to SDXL: guidance would push the picture out of range.
    pull = 1.5 if kind == "sdxl" else 2.0
    draw("unet.to_q", deepest, deepest, gain=2.0)
    draw("unet.to_k", deepest, seen, gain=2.0)
    draw("unet.to_v", deepest, seen, gain=pull)
    draw("unet.to_out", deepest, deepest, gain=pull)
    draw("unet.conv_out", LATENTS, first, 3, 3, gain=0.12)
    made["unet.known"] = noise_share()
    made["vae.encode"] = np.concatenate([COLOURS / scaling(kind), np.zeros_like(COLOURS)])
    made["vae.decode"] = np.ascontiguousarray(COLOURS.T * scaling(kind))
    draw("vae.texture_in", 8, LATENTS, 3, 3, gain=scaling(kind))
    draw("vae.texture_out", 3, 8, 3, 3, gain=0.3)
    return made


def noise_share(spread: float = 0.5) -> NDArray[np.float32]:
    """(1000,): by time step, the share of a noisy latent that is noise, if pictures spread so.

    With it alone the UNet would be the best denoiser of pictures that are noise themselves, so
    that the pictures stay within range over any number of steps.
    """
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    kept = np.cumprod(1 - betas)
    share: NDArray[np.float64] = np.sqrt(1 - kept) / (kept * spread**2 + 1 - kept)
    return share.astype(np.float32)


def time_frequencies(half: int) -> NDArray[np.float32]:
    """(1, half): as in diffusers' Timesteps."""
    return np.exp(-math.log(10000.0) * np.arange(half) / half).astype(np.float32)[None]


def text_encoder(w: Weights, kind: Kind = "sd1", folder: str = "text_encoder") -> ov.Model:
    """input_ids (B, 77) -> last_hidden_state (B, 77, context).

    SDXL's two also give what openvino-genai finds by its place: the hidden states before the
    first and before the last layer, and the second one text_embeds (B, context).
    """
    ids = parameter("input_ids", [-1, TOKENS], ov.Type.i64)
    found = op.gather(op.constant(w[f"{folder}.embedding"]), ids, constant(0, np.int64))
    placed = op.add(found, constant(w[f"{folder}.position"][None]))
    layer = "__module.text_model.encoder.layers.0.mlp.fc1"
    hidden = op.tanh(linear(placed, w[f"{folder}.mix"], layer))
    if kind != "sdxl":
        return model(folder, [ids], {"last_hidden_state": hidden})
    pooled = op.reduce_mean(hidden, constant([1], np.int64), False)
    states = {"hidden_states.0": placed, "hidden_states.1": hidden}
    if folder == "text_encoder":
        return model(folder, [ids], {"last_hidden_state": hidden, "pooler_output": pooled} | states)
    return model(folder, [ids], {"text_embeds": pooled, "last_hidden_state": hidden} | states)


def unet(w: Weights, kind: Kind = "sd1") -> ov.Model:
    """sample (B, C, h, w), timestep (1 or B), context (B, 77, width) -> noise (B, 4, h, w)."""
    first, width = w["unet.conv_in"].shape[0], w["unet.to_k"].shape[1]
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
    if kind == "sdxl":
        text = parameter("text_embeds", [-1, w["unet.added"].shape[1] - TIME_IDS])
        sizes = parameter("time_ids", [-1, TIME_IDS])
        inputs += [text, sizes]
        added = op.concat([text, op.divide(sizes, constant(1024))], 1)
        moment = op.add(moment, linear(added, w["unet.added"], "__module.add_embedding.linear_1"))
    everywhere = op.unsqueeze(moment, constant([2, 3], np.int64))

    levels = sum(name.startswith("unet.down.") and name.count(".") == 2 for name in w)
    start = convolution(sample, w["unet.conv_in"], "__module.conv_in")
    h = op.swish(op.add(start, everywhere))
    kept = []
    for level in range(levels):
        h = residuals(h, w, f"down.{level}")
        kept.append(h)
        name = f"__module.down_blocks.{level}.downsamplers.0.conv"
        h = op.swish(convolution(h, w[f"unet.down.{level}"], name, stride=2))
    h = op.add(h, attention(h, context, w))
    for level in reversed(range(levels)):
        name = f"__module.up_blocks.{level}.upsamplers.0.conv"
        joined = op.concat([enlarge(h, 2), kept.pop()], 1)
        h = op.swish(convolution(joined, w[f"unet.up.{level}"], name))
        h = residuals(h, w, f"up.{level}")
    painted = convolution(h, w["unet.conv_out"], "__module.conv_out")
    known = op.unsqueeze(
        op.gather(op.constant(w["unet.known"]), timestep, constant(0, np.int64)),
        constant([1, 2, 3], np.int64),
    )
    latents = op.slice(sample, *(constant([n], np.int64) for n in (0, LATENTS, 1, 1)))
    noise = op.add(op.multiply(latents, known), painted)
    return model("unet", inputs, {"out_sample": noise})


def residuals(h: Any, w: Weights, place: str) -> Any:
    """The further blocks of one level: normalized, through a convolution, added to what it saw."""
    block = 0
    while (weight := w.get(f"unet.{place}.{block}")) is not None:
        ones, zeros = (constant(np.full(len(weight), value)) for value in (1, 0))
        even = op.swish(op.group_normalization(h, ones, zeros, 8, 1e-5))
        h = op.add(h, convolution(even, weight, f"__module.{place}.resnets.{block}.conv1"))
        block += 1
    return h


def attention(h: Any, context: Any, w: Weights) -> Any:
    """Every place of `h` (B, C, y, x) looks at the prompt's tokens; one head."""
    layer = "__module.mid_block.attentions.0.transformer_blocks.0.attn2"
    wide = w["unet.to_q"].shape[0]
    swapped = constant([0, 2, 1], np.int64)
    flat = op.reshape(h, constant([0, wide, -1], np.int64), True)
    q = linear(op.transpose(flat, swapped), w["unet.to_q"], f"{layer}.to_q")
    k = linear(context, w["unet.to_k"], f"{layer}.to_k")
    v = linear(context, w["unet.to_v"], f"{layer}.to_v")
    scores = op.multiply(op.matmul(q, k, False, True), constant(wide**-0.5))
    seen = op.matmul(op.softmax(scores, 2), v, False, False)
    given = linear(seen, w["unet.to_out"], f"{layer}.to_out.0")
    return op.reshape(op.transpose(given, swapped), op.shape_of(h), False)


def vae_encoder(w: Weights) -> ov.Model:
    """sample (B, 3, 8h, 8w) in [-1, 1] -> (B, 8, h, w): mean, then logarithm of the variance."""
    sample = parameter("sample", [-1, 3, -1, -1])
    seen = op.avg_pool(sample, [8, 8], [0, 0], [0, 0], [8, 8], False)
    moments = convolution(seen, w["vae.encode"][:, :, None, None], "__module.encoder.conv_out")
    offset = np.repeat([0.0, LOG_VARIANCE], LATENTS)[None, :, None, None]
    return model("vae_encoder", [sample], {"latent_parameters": op.add(moments, constant(offset))})


def vae_decoder(w: Weights) -> ov.Model:
    """latent_sample (B, 4, h, w) -> picture (B, 3, 8h, 8w), in [-1, 1] and a little beyond."""
    latent = parameter("latent_sample", [-1, LATENTS, -1, -1])
    colour = convolution(latent, w["vae.decode"][:, :, None, None], "__module.decoder.conv_in")
    texture = op.swish(convolution(latent, w["vae.texture_in"], "__module.decoder.texture_in"))
    fine = convolution(enlarge(texture, 8), w["vae.texture_out"], "__module.decoder.texture_out")
    return model("vae_decoder", [latent], {"sample": op.add(enlarge(colour, 8), fine)})
