"""Networks that really run out of memory: the runtime itself refuses what they ask of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

# Floats, a petabyte of them. Each side fits into 32 bits, which is what OpenVINO counts with.
TOO_MUCH = (1, 1 << 20, 1 << 20, 1 << 8)


def make_hungry(model: Path, pixels: int) -> Path:
    """Change an exported micro network: inputs of more than `pixels` take a petabyte as well."""
    network = onnx.load(model)
    graph = network.graph
    seen, ab = graph.input[0].name, graph.output[0].name
    inner = f"{ab}_inner"
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [inner if name == ab else name for name in names]

    def constant(name: str, value: object, kind: type) -> str:
        graph.initializer.append(numpy_helper.from_array(np.array(value, kind), name))
        return name

    sides = constant("hungry_sides", [2, 3], np.int64)
    first = constant("hungry_first", 0, np.int64)
    one = constant("hungry_one", [1] * len(TOO_MUCH), np.int64)
    zero = constant("hungry_zero", [0.0], np.float32)
    limit = constant("hungry_limit", [pixels], np.int64)
    much = constant("hungry_much", TOO_MUCH, np.int64)
    graph.node.extend(
        [
            helper.make_node("Shape", [seen], ["hungry_shape"]),
            helper.make_node("Gather", ["hungry_shape", sides], ["hungry_hw"]),
            helper.make_node("ReduceProd", ["hungry_hw"], ["hungry_pixels"], keepdims=1),
            helper.make_node("Greater", ["hungry_pixels", limit], ["hungry_over"]),
            helper.make_node("Where", ["hungry_over", much, one], ["hungry_count"]),
            helper.make_node("Expand", [zero, "hungry_count"], ["hungry_plane"]),
            helper.make_node("Gather", ["hungry_plane", first], ["hungry_taken"]),
            helper.make_node("Add", [inner, "hungry_taken"], [ab]),
        ]
    )
    onnx.save(network, model)
    return model


def save_eater(path: Path) -> Path:
    """A model of one node that takes a petabyte whenever it is run; its input is one float."""
    shape = helper.make_tensor("huge", TensorProto.INT64, [len(TOO_MUCH)], TOO_MUCH)
    nodes = [
        helper.make_node("Constant", [], ["huge"], value=shape),
        helper.make_node("Expand", ["x", "huge"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy"]
    ends[0].type.tensor_type.shape.dim.add().dim_value = 1
    graph = helper.make_graph(nodes, "eater", ends[:1], ends[1:])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


@contextmanager
def hungry_torch(pixels: int) -> Iterator[None]:
    """PyTorch networks take a petabyte for pictures of more than `pixels`."""

    def before(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        image = inputs[0]
        if not isinstance(image, torch.Tensor) or image.ndim != 4 or image.shape[1] != 3:
            return  # a layer within the network
        if image.shape[2] * image.shape[3] > pixels:
            torch.empty(TOO_MUCH)

    hook = torch.nn.modules.module.register_module_forward_pre_hook(before)
    try:
        yield
    finally:
        hook.remove()


def copy_model(checkpoint: Path, folder: Path) -> Path:
    """A checkpoint and its exported network, in a folder of their own."""
    shutil.copy(checkpoint.with_suffix(".onnx"), folder)
    return Path(shutil.copy(checkpoint, folder))
