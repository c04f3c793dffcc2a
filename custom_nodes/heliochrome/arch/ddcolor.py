"""DDColor: grey photograph in, ab chroma out (Kang et al., ICCV 2023, arXiv:2212.11613).

Module and tensor names are those of the official checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .color_decoder import MultiScaleColorDecoder
from .config import DDColorConfig, StateDictError
from .convnext import ConvNeXt
from .layers import PixelShuffleUp, SpectralConv2d

CLASSIFIER_PREFIX = "encoder.arch.head_cls."


class UNetBlock(nn.Module):
    """Double the resolution and merge the encoder's tap of that resolution."""

    def __init__(self, in_channels: int, tap_channels: int, out_channels: int) -> None:
        super().__init__()
        self.shuf = PixelShuffleUp(in_channels, out_channels, 2, batch_norm=True)
        self.bn = nn.BatchNorm2d(tap_channels)
        conv = SpectralConv2d(out_channels + tap_channels, out_channels, 3, bias=False)
        self.conv = nn.Sequential(conv, nn.ReLU(), nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor, tap: Tensor) -> Tensor:
        merged = torch.cat((self.shuf(x), self.bn(tap)), dim=1)  # (B, out + tap, 2H, 2W)
        return self.conv(F.relu(merged))  # (B, out, 2H, 2W)


class Encoder(nn.Module):
    def __init__(self, config: DDColorConfig) -> None:
        super().__init__()
        self.arch = ConvNeXt(config.dims, config.depths)

    def forward(self, x: Tensor) -> list[Tensor]:
        return self.arch(x)


class Decoder(nn.Module):
    def __init__(self, config: DDColorConfig) -> None:
        super().__init__()
        inputs = (config.dims[3], *config.unet_dims[:2])
        taps = config.dims[2::-1]
        self.layers = nn.ModuleList(map(UNetBlock, inputs, taps, config.unet_dims))
        self.last_shuf = PixelShuffleUp(config.unet_dims[2], config.embed_dim, 4, batch_norm=False)
        self.color_decoder = MultiScaleColorDecoder(config)

    def forward(self, taps: list[Tensor]) -> Tensor:
        """Encoder taps -> one map per colour query, (B, Q, H, W)."""
        x, features = taps[3], []
        for block, tap in zip(self.layers, taps[2::-1], strict=True):
            x = block(x, tap)
            features.append(x)
        pixels = self.last_shuf(x)  # (B, C, H, W)
        queries = self.color_decoder(features)  # (B, Q, C)
        return torch.einsum("bqc,bchw->bqhw", queries, pixels)


class DDColor(nn.Module):
    """The network as published; `arch.fold` makes the equal, faster form for inference.

    forward: (B, 3, H, W) float, grey sRGB in [0, 1] repeated to three channels, H and W
    multiples of 32 -> (B, 2, H, W) CIE Lab a*, b* (D65), same dtype.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: DDColorConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        refine = SpectralConv2d(config.num_queries + 3, config.out_channels, 1, bias=True)
        self.refine_net = nn.Sequential(nn.Sequential(refine))

    def forward(self, x: Tensor) -> Tensor:
        x = (x - self.mean) / self.std
        maps = self.decoder(self.encoder(x))  # (B, Q, H, W)
        return self.refine_net(torch.cat((maps, x), dim=1))  # (B, 2, H, W)

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> DDColor:
        """Build the network that fits `state` and load it strictly, in eval mode.

        Only the unused classifier (`encoder.arch.head_cls.*`) is dropped. Any other
        missing, extra or misshapen key raises StateDictError and is named.
        """
        state = {k: v for k, v in state.items() if not k.startswith(CLASSIFIER_PREFIX)}
        config = DDColorConfig.from_state_dict(state)
        with torch.device("meta"):
            net = cls(config)
        _check_keys(net.state_dict(), state)
        net.load_state_dict(state, strict=True, assign=True)
        return net.eval().requires_grad_(False)


def _check_keys(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    problems = [f"missing {key}" for key in expected if key not in found]
    problems += [f"unexpected {key}" for key in found if key not in expected]
    problems += [
        f"{key} has shape {tuple(found[key].shape)}, expected {tuple(want.shape)}"
        for key, want in expected.items()
        if key in found and found[key].shape != want.shape
    ]
    problems += [
        f"{key} has dtype {found[key].dtype}, expected a floating point tensor"
        for key, want in expected.items()
        if key in found and want.is_floating_point() and not found[key].is_floating_point()
    ]
    if problems:
        more = f" (and {len(problems) - 5} more)" if len(problems) > 5 else ""
        raise StateDictError(f"not a DDColor checkpoint: {'; '.join(problems[:5])}{more}.")
