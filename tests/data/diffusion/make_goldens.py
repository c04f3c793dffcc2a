"""Makes goldens.npz and goldens.json beside this file. Run it in the environment of README.md.

diffusers' own pipelines run on PyTorch networks that hold the same numbers as the tiny pipeline of
tests/tiny_diffusion.py, with noise from the same NumPy stream. All in float32.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers.configuration_utils import ConfigMixin
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from diffusers.models.modeling_utils import ModelMixin
from make_tokenizer import clip_tokenizer
from PIL import Image
from torch.nn import functional as F
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.clip.modeling_clip import CLIPTextModelOutput

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent))

import tiny_diffusion  # noqa: E402
import tiny_diffusion_networks as networks  # noqa: E402

CATS = "a photograph of a cat and a dog in the garden, highly detailed"
CASTLE = "the castle on a hill, oil on canvas"
POOR = "blurry, low quality, text"
SIDE = 64


def cases() -> list[dict[str, Any]]:
    """`request` has the fields of GenerationRequest; `image`, `mask` name arrays of goldens.npz.

    `lora`: the file's own alpha, and the strength with which it is used.
    """
    found: list[dict[str, Any]] = []

    def add(
        name: str,
        kind: networks.Kind = "sd1",
        pictures: str = "",
        lora: dict[str, float] | None = None,
        **request: Any,
    ) -> None:
        given: dict[str, Any] = {"image": "image"} if "i" in pictures else {}
        given |= {"mask": "mask"} if "m" in pictures else {}
        given |= {"lora": lora} if lora else {}
        found.append({"name": name, "kind": kind, "request": request} | given)

    for scheduler in ("pndm", "ddim"):
        one = {"prompt": CATS, "negative_prompt": POOR, "guidance_scale": 7.5, "seed": 1}
        two = {"prompt": CASTLE, "guidance_scale": 4.0, "seed": 4294967295}
        common = {"scheduler": scheduler, "num_inference_steps": 12}
        add(f"{scheduler} text 1", **one, **common)
        add(f"{scheduler} text 2", **two, **common | {"width": 128, "num_inference_steps": 7})
        add(f"{scheduler} image 1", pictures="i", **one, **common, strength=0.6)
        add(f"{scheduler} image 2", pictures="i", **two, **common, strength=0.29)
        add(f"{scheduler} inpaint 1", pictures="im", **one, **common, strength=0.8)
        add(f"{scheduler} inpaint 2", pictures="im", **two, **common, strength=1.0)
        add(f"{scheduler} inpaint model 1", "inpaint", "im", **one, **common, strength=1.0)
        add(f"{scheduler} inpaint model 2", "inpaint", "im", **two, **common, strength=0.7)
    for scheduler in ("euler", "euler_ancestral"):
        add(f"{scheduler} text", prompt=CATS, scheduler=scheduler, num_inference_steps=12, seed=3)
    plain = {"prompt": CATS, "guidance_scale": 1.0, "seed": 2, "scheduler": "ddim"}
    add("no guidance", **plain, num_inference_steps=5)
    half = {"alpha": 1.0, "strength": 0.7}
    add("lora", **plain | {"guidance_scale": 7.5}, num_inference_steps=10, lora=half)
    xl = {"prompt": CATS, "guidance_scale": 5.0, "scheduler": "ddim", "seed": 6}
    xl |= {"num_inference_steps": 10}
    add("sdxl text 1", "sdxl", **xl, negative_prompt=POOR)
    add("sdxl text 2", "sdxl", **xl | {"scheduler": "euler"})
    add("sdxl image", "sdxl", "i", **xl, negative_prompt=POOR, strength=0.6)
    add("sdxl inpaint", "sdxl", "im", **xl, strength=0.8)
    add("lcm", "lcm", prompt=CATS, num_inference_steps=4, guidance_scale=8.5, seed=5)
    return found


SCHEDULERS = {
    "pndm": diffusers.PNDMScheduler,
    "ddim": diffusers.DDIMScheduler,
    "euler": diffusers.EulerDiscreteScheduler,
    "euler_ancestral": diffusers.EulerAncestralDiscreteScheduler,
    "lcm": diffusers.LCMScheduler,
}


class Network(ModelMixin, ConfigMixin):
    """Holds its numbers under their names in `weights`, less the component's."""

    config_name = "config.json"

    def __init__(self, weights: networks.Weights, component: str, **config: Any) -> None:
        super().__init__()
        self.register_to_config(**config)
        prefix = f"{component}."
        self.w = torch.nn.ParameterDict(
            {
                name.removeprefix(prefix).replace(".", "_"): torch.from_numpy(value)
                for name, value in weights.items()
                if name.startswith(prefix)
            }
        ).requires_grad_(False)


def convolution(x: torch.Tensor, weight: torch.Tensor, stride: int = 1) -> torch.Tensor:
    return F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)


def enlarge(x: torch.Tensor, factor: int) -> torch.Tensor:
    return F.interpolate(x, scale_factor=factor, mode="nearest")


class TextEncoder(Network):
    def forward(self, ids: torch.Tensor, **unused: Any) -> Any:
        placed = self.w["embedding"][ids] + self.w["position"]
        hidden = torch.tanh(F.linear(placed, self.w["mix"]))
        pooled, states = hidden.mean(1), (placed, hidden)
        if self.config.projection_dim is None:
            return BaseModelOutputWithPooling(hidden, pooled, states)
        return CLIPTextModelOutput(
            text_embeds=pooled, last_hidden_state=hidden, hidden_states=states
        )


class UNet(Network):
    def forward(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        timestep_cond: torch.Tensor | None = None,
        added_cond_kwargs: dict[str, torch.Tensor] | None = None,
        **unused: Any,
    ) -> tuple[torch.Tensor]:
        w = self.w
        frequencies = torch.from_numpy(networks.time_frequencies(w["conv_in"].shape[0]))
        angle = timestep.reshape(-1, 1).float() * frequencies
        moment = F.linear(torch.cat([angle.cos(), angle.sin()], 1), w["time"])
        if timestep_cond is not None:
            moment = moment + F.linear(timestep_cond, w["guidance"])
        if added_cond_kwargs:
            told = [added_cond_kwargs["text_embeds"], added_cond_kwargs["time_ids"] / 1024]
            moment = moment + F.linear(torch.cat(told, 1), w["added"])
        h = F.silu(convolution(sample, w["conv_in"]) + moment[:, :, None, None])
        levels = sum(name.startswith("down_") for name in w)
        kept = []
        for level in range(levels):
            kept.append(h)
            h = F.silu(convolution(h, w[f"down_{level}"], stride=2))
        h = h + self.attention(h, encoder_hidden_states)
        for level in reversed(range(levels)):
            joined = torch.cat([enlarge(h, 2), kept.pop()], 1)
            h = F.silu(convolution(joined, w[f"up_{level}"]))
        known = w["known"][timestep.long()].reshape(-1, 1, 1, 1)
        return (sample[:, : networks.LATENTS] * known + convolution(h, w["conv_out"]),)

    def attention(self, h: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        w = self.w
        q = F.linear(h.flatten(2).transpose(1, 2), w["to_q"])
        seen = F.scaled_dot_product_attention(
            q, F.linear(context, w["to_k"]), F.linear(context, w["to_v"])
        )
        return F.linear(seen, w["to_out"]).transpose(1, 2).reshape(h.shape)


class VAE(Network):
    def encode(self, x: torch.Tensor) -> AutoencoderKLOutput:
        mean = convolution(F.avg_pool2d(x, 8), self.w["encode"][:, :, None, None])
        mean[:, networks.LATENTS :] += networks.LOG_VARIANCE
        return AutoencoderKLOutput(DiagonalGaussianDistribution(mean))

    def decode(
        self, z: torch.Tensor, return_dict: bool = True, generator: Any = None
    ) -> tuple[torch.Tensor]:
        colour = convolution(z, self.w["decode"][:, :, None, None])
        texture = F.silu(convolution(z, self.w["texture_in"]))
        picture = enlarge(colour, 8) + convolution(enlarge(texture, 8), self.w["texture_out"])
        return (picture,) if not return_dict else DecoderOutput(picture)


PIPELINES = {
    ("sd1", "text"): diffusers.StableDiffusionPipeline,
    ("sd1", "image"): diffusers.StableDiffusionImg2ImgPipeline,
    ("sd1", "inpaint"): diffusers.StableDiffusionInpaintPipeline,
    ("inpaint", "inpaint"): diffusers.StableDiffusionInpaintPipeline,
    ("lcm", "text"): diffusers.LatentConsistencyModelPipeline,
    ("sdxl", "text"): diffusers.StableDiffusionXLPipeline,
    ("sdxl", "image"): diffusers.StableDiffusionXLImg2ImgPipeline,
    ("sdxl", "inpaint"): diffusers.StableDiffusionXLInpaintPipeline,
}


def with_lora(weights: networks.Weights, alpha: float, strength: float) -> networks.Weights:
    """The same numbers with a LoRA worked into them, by its definition."""
    changed = dict(weights)
    for name, (up, down) in tiny_diffusion.lora_factors().items():
        factor = strength * alpha / tiny_diffusion.LORA_RANK
        changed[name] = (weights[name] + factor * (up @ down)).astype(np.float32)
    return changed


def pipeline(kind: networks.Kind, scheduler: str, mode: str, weights: networks.Weights) -> Any:
    config = tiny_diffusion.SCHEDULER
    unet = UNet(
        weights,
        "unet",
        in_channels=networks.in_channels(kind),
        sample_size=networks.TINY.side,
        time_cond_proj_dim=networks.GUIDANCE_WIDTH if kind == "lcm" else None,
        addition_time_embed_dim=1,
    )
    tokenizer, context = clip_tokenizer(networks.TOKENIZER), networks.TINY.context
    if kind == "sdxl":
        # Where the pipeline looks up how much it may tell.
        width = SimpleNamespace(in_features=context + networks.TIME_IDS)
        unet.add_embedding = SimpleNamespace(linear_1=width)
        others: dict[str, Any] = {
            "text_encoder_2": TextEncoder(weights, "text_encoder_2", projection_dim=context),
            "tokenizer_2": tokenizer,
            "add_watermarker": False,
        }
    else:
        others = {
            "safety_checker": None,
            "feature_extractor": None,
            "requires_safety_checker": False,
        }
    made = PIPELINES[kind, mode](
        text_encoder=TextEncoder(weights, "text_encoder", projection_dim=None),
        tokenizer=tokenizer,
        unet=unet,
        vae=VAE(
            weights,
            "vae",
            block_out_channels=[8, 8, 8, 8],
            latent_channels=networks.LATENTS,
            scaling_factor=networks.scaling(kind),
            force_upcast=False,
        ),
        scheduler=SCHEDULERS[scheduler].from_config(
            {key: value for key, value in config.items() if not key.startswith("_")}
        ),
        **others,
    )
    made.set_progress_bar_config(disable=True)
    return made


def run(case: dict[str, Any], pictures: dict[str, np.ndarray]) -> np.ndarray:
    """(H, W, 3) float32 in [0, 1]."""
    request = dict(case["request"])
    draws = np.random.RandomState(request.pop("seed"))

    def drawn(shape: Any, **unused: Any) -> torch.Tensor:
        return torch.from_numpy(draws.standard_normal(tuple(shape)).astype(np.float32))

    mode = "inpaint" if "mask" in case else "image" if "image" in case else "text"
    weights = networks.weights(kind=case["kind"])
    if "lora" in case:
        weights = with_lora(weights, **case["lora"])
    made = pipeline(case["kind"], request.pop("scheduler", "lcm"), mode, weights)
    if "image" in case:
        request["image"] = Image.fromarray(pictures["image"])
    if "mask" in case:
        request["mask_image"] = Image.fromarray(pictures["mask"])
    if mode != "image":
        request = {"width": SIDE, "height": SIDE} | request
    plain, torch.randn = torch.randn, drawn
    try:
        with torch.inference_mode():
            found: np.ndarray = made(**request, output_type="np").images[0]
    finally:
        torch.randn = plain
    return found


def main() -> None:
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    image = (
        np.stack([2 * x + 60, 255 - 3 * y, 40 + x + y], 2) + 40 * ((x // 8 + y // 8) % 2)[..., None]
    )
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[12:44, 20:60] = 255
    pictures = {"image": np.clip(image, 0, 255).astype(np.uint8), "mask": mask}
    table = cases()
    results = {case["name"]: run(case, pictures) for case in table}
    stored = {name: np.rint(found * 65535).astype(np.uint16) for name, found in results.items()}
    np.savez_compressed(HERE / "goldens.npz", **pictures, **stored)
    versions = {"diffusers": diffusers.__version__, "torch": torch.__version__}
    (HERE / "goldens.json").write_text(
        json.dumps({"versions": versions, "cases": table}, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
