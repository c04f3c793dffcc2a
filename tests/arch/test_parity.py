"""Our network against the original's stored outputs, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from heliochrome.arch import DDColor, DDColorConfig, FoldedDDColor
from reference import generator, golden, golden_info, manifest, weights

TOLERANCE = 2e-5
CASES = [
    pytest.param("tiny", 256, id="tiny_256"),
    pytest.param("tiny", 512, id="tiny_512"),
    pytest.param("large", 256, id="large_256", marks=pytest.mark.large),
]


def network(size: str) -> DDColor:
    state = {k: torch.from_numpy(v) for k, v in weights(size).items()}
    return DDColor.from_state_dict(state).double()


def tapped(net: DDColor, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Every stage the goldens probe, in the goldens' axis order, and `ab`."""
    encoder, decoder = net.encoder.arch, net.decoder
    modules = {f"enc{i}": getattr(encoder, f"norm{i}") for i in range(4)}
    modules |= {f"pix{i}": layer for i, layer in enumerate(decoder.layers)}
    modules |= {
        "pix3": decoder.last_shuf,
        "queries": decoder.color_decoder.decoder_norm,
        "color_embed": decoder.color_decoder,
        "query_maps": decoder,
    }
    found: dict[str, torch.Tensor] = {}
    for name, module in modules.items():
        module.register_forward_hook(lambda _m, _i, out, name=name: found.__setitem__(name, out))
    with torch.inference_mode():
        found["ab"] = net(x)
    found["queries"] = found["queries"].transpose(0, 1)  # stored Q x N x C
    return found


@pytest.mark.parametrize(("size", "side"), CASES)
def test_every_stage_equals_the_original(size: str, side: int) -> None:
    truth = golden(f"model_{size}_{side}")
    x = torch.from_numpy(generator().gray_input(side, side)).double()
    found = tapped(network(size), x)
    probes = [key.removesuffix(".values") for key in truth.files if key.endswith(".values")]
    assert len(probes) == 11
    for probe in probes:
        value = found[probe].contiguous()
        assert list(value.shape) == truth[f"{probe}.shape"].tolist(), probe
        flat = value.flatten().numpy()
        picked = flat[np.linspace(0, flat.size - 1, 256).astype(np.int64)]
        assert np.abs(picked - truth[f"{probe}.values"]).max() <= TOLERANCE, probe
        moments = [flat.mean(), flat.std()]
        assert np.abs(moments - truth[f"{probe}.mean_std"]).max() <= TOLERANCE, probe
    step = int(truth["step"])
    ab = found["ab"][0, :, ::step, ::step].numpy()
    assert np.abs(ab - truth["ab"]).max() <= TOLERANCE


@pytest.mark.parametrize(("size", "side"), CASES)
def test_folded_equals_the_original(size: str, side: int) -> None:
    truth = golden(f"model_{size}_{side}")
    x = torch.from_numpy(generator().gray_input(side, side)).double()
    with torch.inference_mode():
        ab = FoldedDDColor(network(size))(x)
    step = int(truth["step"])
    assert np.abs(ab[0, :, ::step, ::step].numpy() - truth["ab"]).max() <= TOLERANCE


@pytest.mark.parametrize("size", ["tiny", "large"])
def test_keys_equal_the_manifest(size: str) -> None:
    spec = manifest(size)
    shapes = {k: torch.empty(v["shape"], device="meta") for k, v in spec["tensors"].items()}
    with torch.device("meta"):
        net = DDColor(DDColorConfig.from_state_dict(shapes))
    ours = [(k, list(v.shape), str(v.dtype)) for k, v in net.state_dict().items()]
    theirs = [(k, v["shape"], f"torch.{v['dtype']}") for k, v in spec["tensors"].items()]
    assert sorted(ours) == sorted(theirs)
    parameters = {k for k, _ in net.named_parameters()}
    assert {k for k, v in spec["tensors"].items() if v["kind"] == "parameter"} == parameters


@pytest.mark.parametrize("size", ["tiny", pytest.param("large", marks=pytest.mark.large)])
def test_stand_in_weights_are_the_ones_the_goldens_were_made_with(size: str) -> None:
    expected = golden_info()[f"weights_{size}_sha256"]
    assert generator().digest(generator().fill(manifest(size)["tensors"])) == expected
