"""The colour decoder: learned queries that read the image at several scales."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import DDColorConfig


class Attention(nn.Module):
    """Multi-head attention, batch first; tensor names are torch.nn.MultiheadAttention's."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """query (B, Q, C), key and value (B, N, C) -> (B, Q, C)."""
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q, k, v = (
            F.linear(x, w, b).unflatten(2, (self.heads, -1)).transpose(1, 2)  # (B, heads, N, C')
            for x, w, b in zip((query, key, value), weights, biases, strict=True)
        )
        attended = F.scaled_dot_product_attention(q, k, v)
        return self.out_proj(attended.transpose(1, 2).flatten(2))


class SelfAttentionLayer(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.self_attn = Attention(dim, heads)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, position: Tensor) -> Tensor:
        query = x + position
        return self.norm(x + self.self_attn(query, query, x))


class CrossAttentionLayer(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.multihead_attn = Attention(dim, heads)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, position: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return self.norm(x + self.multihead_attn(x + position, key, value))


class FeedForwardLayer(nn.Module):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(dim, hidden)
        self.linear2 = nn.Linear(hidden, dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x + self.linear2(F.relu(self.linear1(x))))


class MLP(nn.Module):
    def __init__(self, *dims: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(dims))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


def sine_position(x: Tensor, dim: int) -> Tensor:
    """Sine code of x's grid, (1, H * W, dim), y in the first half (DETR, arXiv:2005.12872)."""
    height, width = x.shape[2:]
    pairs = torch.arange(dim // 4, device=x.device, dtype=x.dtype)
    wavelength = 10000 ** (4 * pairs / dim)  # each serves one sine and one cosine

    def code(length: int) -> Tensor:  # (length, dim / 2)
        steps = torch.arange(1, length + 1, device=x.device, dtype=x.dtype)
        angle = (steps / (length + 1e-6) * (2 * math.pi))[:, None] / wavelength
        return torch.stack((angle.sin(), angle.cos()), dim=2).flatten(1)

    y = code(height)[:, None].expand(-1, width, -1)
    x_ = code(width)[None].expand(height, -1, -1)
    return torch.cat((y, x_), dim=2).flatten(0, 1)[None]


class MultiScaleColorDecoder(nn.Module):
    def __init__(self, config: DDColorConfig) -> None:
        super().__init__()
        dim, layers = config.hidden_dim, range(config.dec_layers)
        self.transformer_self_attention_layers = nn.ModuleList(
            SelfAttentionLayer(dim, config.heads) for _ in layers
        )
        self.transformer_cross_attention_layers = nn.ModuleList(
            CrossAttentionLayer(dim, config.heads) for _ in layers
        )
        self.transformer_ffn_layers = nn.ModuleList(
            FeedForwardLayer(dim, config.feedforward_dim) for _ in layers
        )
        self.decoder_norm = nn.LayerNorm(dim)
        self.query_feat = nn.Embedding(config.num_queries, dim)
        self.query_embed = nn.Embedding(config.num_queries, dim)
        self.level_embed = nn.Embedding(config.num_scales, dim)
        self.input_proj = nn.ModuleList(
            nn.Conv2d(width, dim, 1) for width in config.unet_dims[: config.num_scales]
        )
        self.color_embed = MLP(dim, dim, dim, config.embed_dim)

    def forward(self, features: list[Tensor]) -> Tensor:
        """U-Net features (B, unet_dims[i], h, w), coarse to fine -> (B, Q, embed_dim)."""
        keys, values = [], []
        for level, project in enumerate(self.input_proj):
            projected = project(features[level])  # (B, C, h, w)
            value = projected.flatten(2).transpose(1, 2) + self.level_embed.weight[level]
            values.append(value)  # (B, h * w, C)
            keys.append(value + sine_position(projected, projected.shape[1]))

        batch = features[0].shape[0]
        position = self.query_embed.weight.expand(batch, -1, -1)  # (B, Q, C)
        queries = self.query_feat.weight.expand(batch, -1, -1)
        layers = zip(
            self.transformer_cross_attention_layers,
            self.transformer_self_attention_layers,
            self.transformer_ffn_layers,
            strict=True,
        )
        for i, (cross_attend, self_attend, feed_forward) in enumerate(layers):
            level = i % len(keys)
            queries = cross_attend(queries, position, keys[level], values[level])
            queries = feed_forward(self_attend(queries, position))
        return self.color_embed(self.decoder_norm(queries))
