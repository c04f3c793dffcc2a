"""Layers that DDColor's encoder and decoder share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SpectralConv2d(nn.Module):
    """Convolution whose weight is divided by its largest singular value (Miyato et al., 2018).

    The stored power-iteration vectors are used as they are: this is inference only.
    Parameter names are those torch.nn.utils.spectral_norm writes into checkpoints.
    """

    weight_u: Tensor
    weight_v: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, bias: bool
    ) -> None:
        super().__init__()
        self.padding = kernel_size // 2
        # Registered before the weight: the order official checkpoints have.
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        weight = torch.empty(out_channels, in_channels, kernel_size, kernel_size)
        nn.init.kaiming_normal_(weight)
        self.weight_orig = nn.Parameter(weight)
        # One power iteration, as training would leave it: u^T W v is near the largest value.
        u = F.normalize(torch.randn(out_channels), dim=0)
        v = F.normalize(weight.flatten(1).T @ u, dim=0)
        self.register_buffer("weight_u", F.normalize(weight.flatten(1) @ v, dim=0))
        self.register_buffer("weight_v", v)

    @property
    def weight(self) -> Tensor:
        """(out, in, k, k): the weight with spectral norm applied."""
        sigma = torch.dot(self.weight_u, torch.mv(self.weight_orig.flatten(1), self.weight_v))
        return self.weight_orig / sigma

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, padding=self.padding)


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of (B, C, H, W), at every pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        # (B, C, H, W) -> (B, H, W, C): free when the memory format is channels_last
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def blur(x: Tensor) -> Tensor:
    """2x2 mean with edge replication; keeps (B, C, H, W).

    Hides the checkerboard of sub-pixel convolution (Sugawara et al., arXiv:1806.02658).
    """
    return F.avg_pool2d(F.pad(x, (1, 0, 1, 0), mode="replicate"), 2, stride=1)


class PixelShuffleUp(nn.Module):
    """1x1 convolution, ReLU, pixel shuffle by `scale`, blur."""

    def __init__(
        self, in_channels: int, out_channels: int, scale: int, *, batch_norm: bool
    ) -> None:
        super().__init__()
        self.scale = scale
        width = out_channels * scale**2
        conv = SpectralConv2d(in_channels, width, 1, bias=not batch_norm)
        self.conv = nn.Sequential(conv, *([nn.BatchNorm2d(width)] if batch_norm else []))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(x))  # (B, C * scale^2, H, W)
        return blur(F.pixel_shuffle(x, self.scale))  # (B, C, H * scale, W * scale)
