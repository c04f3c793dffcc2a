"""A DDColor of about 1.2 M parameters with random weights: the same code in a size tests afford."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from safetensors.torch import save_file

from heliochrome.arch import MICRO, DDColor


@cache
def micro_network() -> DDColor:
    """Seeded, with ab spread like a photograph's (standard deviation about 15)."""
    torch.manual_seed(20240607)
    net = DDColor(MICRO).eval().requires_grad_(False)
    for name, parameter in net.named_parameters():
        if name.endswith("gamma"):
            parameter.fill_(0.5)  # the initial 1e-6 would hide every ConvNeXt block
    grey = torch.rand(1, 1, 128, 128).repeat(1, 3, 1, 1)
    last = net.decoder.color_decoder.color_embed.layers[-1]
    first = net(grey)
    last.weight.mul_(2)
    last.bias.mul_(2)
    factor = 15 / (net(grey) - first).std()  # of the part that the queries add
    last.weight.mul_(factor / 2)
    last.bias.mul_(factor / 2)
    return net


def save(path: Path) -> Path:
    """Write the checkpoint: .safetensors, or .pth as {"params": ...} like the official files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = micro_network().state_dict()
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({"params": state}, path)
    return path
