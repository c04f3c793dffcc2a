"""A tiny model in the layout of stable_diffusion.openvino, with `tiny_diffusion`'s weights.

Like the real files: fixed shapes, one of them written into a constant; the UNet sees two pictures;
`t` is one float64 number; the decoder divides by the scale itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as op

from tiny_diffusion_networks import (
    LATENTS,
    TINY,
    TOKENS,
    constant,
    scaling,
    text_encoder,
    unet,
    vae_decoder,
    vae_encoder,
    weights,
)


def build(
    folder: Path, *, seed: int = 0, encoder: bool = True, step: tuple[list[int], Any] = ([], "f64")
) -> Path:
    """Write the four pairs of files into `folder`. step: shape and type of the UNet's `t`."""
    folder.mkdir(parents=True, exist_ok=True)
    w, side, width = weights(seed), TINY.side, TINY.context
    latent, picture = [1, LATENTS, side, side], [1, 3, 8 * side, 8 * side]
    models = {
        "text_encoder": _text_encoder(text_encoder(w)),
        "unet": _with_inputs(
            unet(w),
            {
                "sample": ("latent_model_input", [2, *latent[1:]], ov.Type.f32),
                "timestep": ("t", step[0], getattr(ov.Type, step[1])),
                "encoder_hidden_states": ("encoder_hidden_states", [2, TOKENS, width], ov.Type.f32),
            },
        ),
        "vae_decoder": _with_inputs(
            vae_decoder(w), {"latent_sample": ("latents", latent, ov.Type.f32)}, 1 / scaling("sd1")
        ),
    }
    if encoder:
        inputs = {"sample": ("init_image", picture, ov.Type.f32)}
        models["vae_encoder"] = _with_inputs(vae_encoder(w), inputs)
    for name, model in models.items():
        ov.save_model(model, folder / f"{name}.xml", compress_to_fp16=False)
    return folder


def _text_encoder(model: ov.Model) -> ov.Model:
    made = _with_inputs(model, {"input_ids": ("tokens", [1, TOKENS], ov.Type.i64)})
    (result,) = made.get_results()
    hidden = result.input_value(0)
    # The batch in a constant: of two prompts, reshaping such a graph would mix up the words.
    flat = op.reshape(hidden, constant([1, -1], np.int64), False)
    back = op.reshape(flat, constant([1, TOKENS, TINY.context], np.int64), False)
    return ov.Model([op.result(back)], made.get_parameters(), "text_encoder")


def _with_inputs(
    model: ov.Model, inputs: dict[str, tuple[str, list[int], Any]], factor: float | None = None
) -> ov.Model:
    """The graph with inputs of other names, fixed shapes and types; outputs lose their names."""
    parameters = []
    for old in model.get_parameters():
        name, shape, kind = inputs[old.get_friendly_name()]
        new = op.parameter(shape, kind, name=name)
        new.output(0).get_tensor().set_names({name})
        value = new.output(0)
        if kind != old.get_element_type():
            value = op.convert(value, old.get_element_type()).output(0)
        if not shape:
            value = op.unsqueeze(value, constant([0], np.int64)).output(0)
        if factor is not None:
            value = op.multiply(value, constant(factor)).output(0)
        for reader in list(old.output(0).get_target_inputs()):
            reader.replace_source_output(value)
        parameters.append(new)
    results = [op.result(result.input_value(0)) for result in model.get_results()]
    made = ov.Model(results, parameters, model.get_friendly_name())
    for port in made.outputs:
        port.get_tensor().set_names(set())
    return made
