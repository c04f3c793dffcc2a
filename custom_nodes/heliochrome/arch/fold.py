"""The same function in fewer operations: what the backends run and export.

Everything folded is linear next to something linear, so outputs are equal up to rounding:
- spectral norm becomes a plain weight;
- every batch norm goes into a neighbouring convolution or LayerNorm;
- layer scale goes into the projection before it;
- the input normalisation goes into the stem;
- the query maps (100 full-resolution planes) are never made: the refining 1x1
  convolution is applied to the queries first, and the blur last, on two planes.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .convnext import Block
from .ddcolor import DDColor, UNetBlock
from .layers import SpectralConv2d, blur


def _plain(conv: SpectralConv2d) -> nn.Conv2d:
    out, in_, k, _ = conv.weight_orig.shape
    plain = nn.Conv2d(in_, out, k, padding=conv.padding, bias=True)
    plain.weight = nn.Parameter(conv.weight.detach().clone())
    bias = torch.zeros(out) if conv.bias is None else conv.bias.detach().clone()
    plain.bias = nn.Parameter(bias.to(plain.weight))
    return plain


def _affine(bn: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Batch norm in eval mode as y = scale * x + shift, each (C,)."""
    assert bn.running_var is not None and bn.running_mean is not None
    scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    return scale.detach(), (bn.bias - bn.running_mean * scale).detach()


def _scale_output(layer: nn.Module, scale: Tensor, shift: Tensor | float = 0.0) -> None:
    """Put y -> scale * y + shift behind a layer that ends in weight[out, ...] and bias[out]."""
    layer.weight.data = layer.weight.data * scale.view(-1, *[1] * (layer.weight.ndim - 1))
    layer.bias.data = layer.bias.data * scale + shift


def _scale_input(conv: nn.Conv2d, scale: Tensor, shift: Tensor) -> None:
    """Put x -> scale * x + shift before an unpadded convolution."""
    weight = conv.weight.data  # (out, in, k, k)
    assert conv.bias is not None and conv.padding == (0, 0)
    conv.bias.data = conv.bias.data + torch.einsum("oikl,i->o", weight, shift)
    conv.weight.data = weight * scale.view(1, -1, 1, 1)


class _Upsample(nn.Module):
    """One U-Net block without spectral or batch norm."""

    def __init__(self, block: UNetBlock) -> None:
        super().__init__()
        self.expand = _plain(block.shuf.conv[0])
        _scale_output(self.expand, *_affine(block.shuf.conv[1]))
        self.merge = _plain(block.conv[0])

    def forward(self, x: Tensor, tap: Tensor) -> Tensor:
        up = blur(F.pixel_shuffle(F.relu(self.expand(x)), 2))  # >= 0, as ReLU would leave it
        return F.relu(self.merge(torch.cat((up, F.relu(tap)), dim=1)))


class _Head(nn.Module):
    """last_shuf, the query product, refine_net and blur in one.

    The 4 x 4 sub-pixels are done one after another, so the full-resolution pixel
    embedding never exists in memory.
    """

    sub_weight: Tensor
    sub_bias: Tensor
    refine: Tensor
    grey: Tensor
    bias: Tensor

    def __init__(self, net: DDColor, expand: nn.Conv2d) -> None:
        super().__init__()
        assert expand.bias is not None
        self.scale = net.decoder.last_shuf.scale
        channels, sub = net.config.embed_dim, self.scale**2
        refine = _plain(net.refine_net[0][0])  # (2, Q + 3, 1, 1)
        assert refine.bias is not None
        refine.weight.data[:, -3:] /= net.std
        refine.bias.data -= (refine.weight.data[:, -3:] * net.mean).sum((1, 2, 3))
        weight = expand.weight.data.flatten(1).unflatten(0, (channels, sub))  # (C, sub, in)
        self.register_buffer("sub_weight", weight.transpose(0, 1).contiguous())
        self.register_buffer("sub_bias", expand.bias.data.view(channels, sub).T.contiguous())
        self.register_buffer("refine", refine.weight.data[:, :-3, 0, 0].contiguous())  # (2, Q)
        self.register_buffer("grey", refine.weight.data[:, -3:].contiguous())
        self.register_buffer("bias", refine.bias.data)

    def forward(self, image: Tensor, x: Tensor, queries: Tensor) -> Tensor:
        """image (B, 3, H, W), x (B, C, H/4, W/4), queries (B, Q, C) -> (B, 2, H, W)."""
        height, width = x.shape[2:]
        pixels = x.permute(0, 2, 3, 1).flatten(1, 2)  # (B, h * w, C)
        mix = (self.refine @ queries).transpose(1, 2)  # (B, C, 2)
        planes = [
            F.relu(F.linear(pixels, weight, bias)) @ mix  # (B, h * w, 2)
            for weight, bias in zip(self.sub_weight, self.sub_bias, strict=True)
        ]
        ab = torch.stack(planes, dim=3).permute(0, 2, 3, 1)  # (B, 2, sub, h * w)
        ab = ab.reshape(ab.shape[0], -1, height, width)  # (B, 2 * sub, h, w)
        ab = blur(F.pixel_shuffle(ab, self.scale))  # (B, 2, H, W)
        return ab + F.conv2d(image, self.grey, self.bias)


class FoldedDDColor(nn.Module):
    """Inference form of a DDColor; same input and output. The given network is not changed."""

    def __init__(self, net: DDColor) -> None:
        super().__init__()
        self.config = net.config
        decoder = net.decoder
        self.encoder = copy.deepcopy(net.encoder.arch)
        self.color_decoder = copy.deepcopy(decoder.color_decoder)
        self.unet = nn.ModuleList(_Upsample(block) for block in decoder.layers)
        expand = _plain(decoder.last_shuf.conv[0])

        stem = self.encoder.downsample_layers[0][0]
        _scale_input(stem, 1 / net.std.flatten(), -(net.mean / net.std).flatten())
        for module in self.encoder.modules():
            if isinstance(module, Block):
                _scale_output(module.pwconv2, module.gamma.data)
                module.gamma = nn.Parameter(torch.ones(()))
        taps = (self.encoder.norm2, self.encoder.norm1, self.encoder.norm0)
        for tap, block in zip(taps, decoder.layers, strict=True):
            _scale_output(tap, *_affine(block.bn))
        # The batch norm that ends a block goes into the 1x1 convolutions that read the block.
        after = (*(block.expand for block in list(self.unet)[1:]), expand)
        for i, (block, reader) in enumerate(zip(decoder.layers, after, strict=True)):
            affine = _affine(block.conv[2])
            _scale_input(reader, *affine)
            if i < len(self.color_decoder.input_proj):
                _scale_input(self.color_decoder.input_proj[i], *affine)
        self.head = _Head(net, expand)
        self.eval().requires_grad_(False)

    def forward(self, image: Tensor) -> Tensor:
        taps = self.encoder(image)
        x, features = taps[3], []
        for block, tap in zip(self.unet, taps[2::-1], strict=True):
            x = block(x, tap)
            features.append(x)
        return self.head(image, x, self.color_decoder(features))
