"""Our network against the one in spandrel_extra_arches, on random weights in float32."""

from __future__ import annotations

import pytest
import torch

from heliochrome.arch import DDColor, DDColorConfig, FoldedDDColor
from peer import peer_network

TOLERANCE = 3e-4


LARGE = DDColorConfig(dims=(192, 384, 768, 1536), depths=(3, 3, 27, 3))


def random_network(config: DDColorConfig, seed: int) -> DDColor:
    """Random weights whose norms, running statistics and layer scales all matter."""
    torch.manual_seed(seed)
    net = DDColor(config).eval().requires_grad_(False)
    for name, value in net.state_dict().items():
        if name.endswith(("running_var", "gamma")):
            value.uniform_(0.5, 1.5)
        elif name.endswith(("running_mean", "bias")):
            value.normal_(std=0.1)
    return net


@pytest.mark.parametrize(
    ("encoder", "config", "height", "width"),
    [
        ("convnext-t", DDColorConfig(), 256, 256),
        ("convnext-t", DDColorConfig(), 96, 352),  # the original takes any multiple of 32
        pytest.param("convnext-l", LARGE, 128, 160, marks=pytest.mark.large),
    ],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_equal_on_random_weights(
    encoder: str, config: DDColorConfig, height: int, width: int, seed: int
) -> None:
    net = random_network(config, seed)
    peer = peer_network(encoder)
    peer.load_state_dict(net.state_dict(), strict=True)
    x = torch.rand(1, 1, height, width).repeat(1, 3, 1, 1)
    with torch.inference_mode():
        theirs = peer(x)
        scale = theirs.std().item() / 10  # an official network's ab varies by about 10
        assert (net(x) - theirs).abs().max() <= TOLERANCE * scale
        assert (FoldedDDColor(net)(x) - theirs).abs().max() <= TOLERANCE * scale


def test_our_state_dict_loads_into_the_peer() -> None:
    net = DDColor(DDColorConfig())
    peer_network("convnext-t").load_state_dict(net.state_dict(), strict=True)
