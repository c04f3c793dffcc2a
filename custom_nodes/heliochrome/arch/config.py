"""The shape of a DDColor network, read from a checkpoint's tensors and never from its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

# Attention heads leave no trace in the tensor shapes. Every published DDColor
# uses 8 heads on 256 channels, so the head width is what stays fixed.
HEAD_DIM: Final = 32
UNET_BLOCKS: Final = 3  # one per encoder stage above the deepest


class Shaped(Protocol):
    @property
    def shape(self) -> Iterable[int]: ...


class StateDictError(ValueError):
    """The tensors do not form a DDColor state dict; the message names the key."""


@dataclass(frozen=True)
class DDColorConfig:
    """Widths and depths of DDColor (Kang et al., ICCV 2023, arXiv:2212.11613).

    dims, depths: channels and blocks of the four ConvNeXt stages.
    unet_dims: output channels of the three U-Net blocks; the last is also the
    width of the pixel embedding. hidden_dim: width of the colour queries.
    """

    dims: tuple[int, int, int, int] = (96, 192, 384, 768)
    depths: tuple[int, int, int, int] = (3, 3, 9, 3)
    unet_dims: tuple[int, int, int] = (512, 512, 256)
    embed_dim: int = 256
    hidden_dim: int = 256
    feedforward_dim: int = 2048
    num_queries: int = 100
    num_scales: int = 3
    dec_layers: int = 9
    out_channels: int = 2

    def __post_init__(self) -> None:
        if self.hidden_dim % HEAD_DIM:
            raise StateDictError(
                f"decoder.color_decoder: the query width must be a multiple of {HEAD_DIM}, "
                f"got {self.hidden_dim}."
            )
        if self.num_scales > UNET_BLOCKS:
            raise StateDictError(
                f"decoder.color_decoder.level_embed.weight: at most {UNET_BLOCKS} scales exist, "
                f"got {self.num_scales}."
            )

    @property
    def heads(self) -> int:
        return self.hidden_dim // HEAD_DIM

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Shaped]) -> DDColorConfig:
        """Deduce the configuration from tensor shapes; raises StateDictError."""

        def shape(key: str, rank: int) -> tuple[int, ...]:
            if key not in state:
                raise StateDictError(f"not a DDColor checkpoint: the key {key!r} is missing.")
            found = tuple(state[key].shape)
            if len(found) != rank:
                raise StateDictError(f"{key}: expected {rank} dimensions, got shape {found}.")
            return found

        def count(prefix: str) -> int:
            pattern = re.compile(re.escape(prefix) + r"\.(\d+)\.")
            return len({m[1] for m in map(pattern.match, state) if m})

        down, blocks = "encoder.arch.downsample_layers", "encoder.arch.stages"
        query, unet = "decoder.color_decoder", "decoder.layers"
        queries, hidden = shape(f"{query}.query_feat.weight", 2)
        d0, d1, d2, d3 = (shape(f"{down}.{i}.{int(i > 0)}.weight", 4)[0] for i in range(4))
        n0, n1, n2, n3 = (count(f"{blocks}.{i}") for i in range(4))
        u0, u1, u2 = (shape(f"{unet}.{i}.conv.0.weight_orig", 4)[0] for i in range(UNET_BLOCKS))
        return cls(
            dims=(d0, d1, d2, d3),
            depths=(n0, n1, n2, n3),
            unet_dims=(u0, u1, u2),
            embed_dim=shape("decoder.last_shuf.conv.0.weight_orig", 4)[0] // 16,
            hidden_dim=hidden,
            feedforward_dim=shape(f"{query}.transformer_ffn_layers.0.linear1.weight", 2)[0],
            num_queries=queries,
            num_scales=shape(f"{query}.level_embed.weight", 2)[0],
            dec_layers=count(f"{query}.transformer_ffn_layers"),
            out_channels=shape("refine_net.0.0.weight_orig", 4)[0],
        )


# About 2 M parameters: the same code path in a size that tests can afford.
MICRO: Final = DDColorConfig(
    dims=(16, 32, 64, 128),
    depths=(1, 1, 2, 1),
    unet_dims=(128, 128, 64),
    embed_dim=64,
    hidden_dim=64,
    feedforward_dim=256,
    num_queries=20,
    dec_layers=3,
)
