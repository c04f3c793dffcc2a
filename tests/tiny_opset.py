"""Short words for OpenVINO's operations, from which the tests' tiny networks are built."""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as op


def constant(value: Any, kind: Any = np.float32) -> Any:
    """A number or an array, as `kind`."""
    return op.constant(np.asarray(value, kind))


def parameter(name: str, shape: list[int], kind: ov.Type = ov.Type.f32) -> Any:
    """An input; -1: any size."""
    node = op.parameter(ov.PartialShape(shape), kind, name=name)
    node.output(0).get_tensor().set_names({name})
    return node


def convolution(x: Any, weight: NDArray[np.float32], name: str, stride: int = 1) -> Any:
    """NCHW; weight (out, in, k, k) with odd k. Zeros around, so that only `stride` shrinks."""
    edge = weight.shape[-1] // 2
    return op.convolution(
        x, op.constant(weight), [stride] * 2, [edge] * 2, [edge] * 2, [1, 1], name=name
    )


def linear(x: Any, weight: NDArray[np.float32], name: str) -> Any:
    """x @ weight.T, named as an exported torch.nn.Linear is: LoRA finds layers by that."""
    return op.matmul(x, op.constant(weight), False, True, name=f"{name}/aten::linear/MatMul")


def enlarge(x: Any, factor: int) -> Any:
    """Each place of NCHW becomes factor x factor equal ones."""
    return op.interpolate(
        x,
        constant([factor, factor]),
        "nearest",
        "scales",
        axes=constant([2, 3], np.int64),
        pads_begin=[0, 0],
        pads_end=[0, 0],
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


def model(name: str, inputs: list[Any], outputs: dict[str, Any]) -> ov.Model:
    """outputs: by their names, in their order."""
    made = ov.Model([op.result(value) for value in outputs.values()], inputs, name)
    for port, output in zip(made.outputs, outputs, strict=True):
        port.get_tensor().set_names({output})
    return made
