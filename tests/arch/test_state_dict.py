"""Strict loading: exactly the classifier is dropped, every other difference is named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from heliochrome.arch import MICRO, DDColor, DDColorConfig, FoldedDDColor, StateDictError
from micro import micro_network

State = dict[str, torch.Tensor]


def state() -> State:
    return dict(micro_network().state_dict())


def test_configuration_is_read_from_the_shapes() -> None:
    assert DDColorConfig.from_state_dict(state()) == MICRO


def test_classifier_is_dropped() -> None:
    extra = state() | {"encoder.arch.head_cls.weight": torch.zeros(4, 128)}
    net = DDColor.from_state_dict(extra)
    assert net.state_dict().keys() == state().keys()


def _drop(key: str) -> Callable[[State], None]:
    return lambda s: s.__delitem__(key)


def _add(key: str) -> Callable[[State], None]:
    return lambda s: s.__setitem__(key, torch.zeros(1))


def _reshape(key: str) -> Callable[[State], None]:
    return lambda s: s.__setitem__(key, torch.zeros(*s[key].shape, 2))


def _integer(key: str) -> Callable[[State], None]:
    return lambda s: s.__setitem__(key, s[key].int())


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (_drop("mean"), "mean"),
        (_drop("encoder.arch.norm.bias"), "encoder.arch.norm.bias"),
        (_drop("encoder.arch.stages.2.1.gamma"), "encoder.arch.stages.2.1.gamma"),
        (_drop("refine_net.0.0.weight_u"), "refine_net.0.0.weight_u"),
        (_drop("decoder.color_decoder.query_feat.weight"), "query_feat.weight"),
        (_add("encoder.arch.head_cls2.weight"), "encoder.arch.head_cls2.weight"),
        (_add("head_cls.weight"), "head_cls.weight"),
        (_add("decoder.layers.3.bn.weight"), "decoder.layers.3.bn.weight"),
        (_reshape("encoder.arch.norm0.weight"), "encoder.arch.norm0.weight"),
        (_reshape("decoder.last_shuf.conv.0.weight_orig"), "decoder.last_shuf.conv.0.weight_orig"),
        (_integer("encoder.arch.norm1.bias"), "encoder.arch.norm1.bias"),
    ],
)
def test_any_other_difference_is_named(damage: Callable[[State], None], named: str) -> None:
    damaged = state()
    damage(damaged)
    with pytest.raises(StateDictError, match=named.replace(".", r"\.")):
        DDColor.from_state_dict(damaged)


@pytest.mark.parametrize(
    "config",
    [
        MICRO,
        DDColorConfig(
            dims=(8, 16, 24, 40),
            depths=(2, 1, 1, 3),
            unet_dims=(48, 40, 32),
            embed_dim=32,
            hidden_dim=32,
            feedforward_dim=48,
            num_queries=7,
            num_scales=2,
            dec_layers=5,
        ),
    ],
    ids=["micro", "odd"],
)
def test_any_width_and_depth_loads_and_folds(config: DDColorConfig) -> None:
    torch.manual_seed(3)
    built = DDColor(config)
    for name, value in built.state_dict().items():
        if name.endswith(("running_var", "gamma")):
            value.uniform_(0.5, 1.5)
        elif name.endswith(("running_mean", "bias")):
            value.normal_(std=0.1)
    net = DDColor.from_state_dict(built.state_dict()).double()
    assert net.config == config
    x = torch.rand(2, 1, 64, 96, dtype=torch.float64).repeat(1, 3, 1, 1)
    with torch.inference_mode():
        expected, folded = net(x), FoldedDDColor(net)(x)
    assert expected.shape == (2, 2, 64, 96)
    assert (folded - expected).abs().max() <= 1e-10 * expected.abs().max()
    assert net.state_dict().keys() == built.state_dict().keys()  # folding left it alone
