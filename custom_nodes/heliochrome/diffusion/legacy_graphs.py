"""How the graphs of the old model files are changed. `openvino.Model` in and out.

Nothing is reshaped: these graphs have their shapes written into constants, and `Model.reshape`
then gives wrong numbers without a word.
"""

from __future__ import annotations

from typing import Any

from .component import input_port


def both_prompts(model: Any, port: str, batch: int) -> Any:
    """tokens (1, n) -> input_ids (batch, n) i64: the network once for each, in one graph.

    The copies share their constants, which the file then holds once.
    """
    import openvino as ov
    from openvino import opset13 as op

    tokens = _parameter_of(model, port)
    ids = _parameter("input_ids", [batch, *list(tokens.get_output_shape(0))[1:]], ov.Type.i64)
    prompts = op.split(ids, _number(0), batch).outputs() if batch > 1 else ids.outputs()
    results = []
    for prompt in prompts:
        copy = model.clone()
        (own,) = copy.get_parameters()
        _replace(own, _converted(prompt, own.get_element_type()))
        results.append(copy.get_results()[0].input_value(0))
    hidden = op.concat(results, 0) if batch > 1 else results[0].get_node()
    return _model("text_encoder", [ids], hidden.output(0), "last_hidden_state")


def whole_number_steps(model: Any) -> Any:
    """t, a number or one for each picture, of any type -> timestep (1) i64."""
    import openvino as ov
    from openvino import opset13 as op

    step = _parameter_of(model, "t")
    new = _parameter("timestep", [1], ov.Type.i64)
    value = _converted(new.output(0), step.get_element_type())
    shape = list(step.get_output_shape(0))
    if not shape:
        value = op.squeeze(value, _number([0])).output(0)
    elif shape != [1]:
        value = op.broadcast(value, _number(shape)).output(0)
    _replace(step, value)
    model.remove_parameter(step)
    model.add_parameters([new])
    _name(input_port(model, "latent_model_input"), "sample")
    _name(model.outputs[0], "out_sample")
    model.validate_nodes_and_infer_types()
    return model


def scaled_latents(model: Any, scale: float) -> Any:
    """latents -> latent_sample: who calls divides by `scale`, and so does the graph."""
    import openvino as ov
    from openvino import opset13 as op

    latents = _parameter_of(model, "latents")
    new = _parameter("latent_sample", list(latents.get_output_shape(0)), ov.Type.f32)
    kind = latents.get_element_type()
    value = op.multiply(_converted(new.output(0), kind), op.constant(scale, kind))
    _replace(latents, value.output(0))
    model.remove_parameter(latents)
    model.add_parameters([new])
    _name(model.outputs[0], "sample")
    model.validate_nodes_and_infer_types()
    return model


def moments(model: Any) -> Any:
    """init_image -> sample; the mean and the logarithm of the variance are what genai expects."""
    _name(input_port(model, "init_image"), "sample")
    _name(model.outputs[0], "latent_parameters")
    return model


def _parameter_of(model: Any, name: str) -> Any:
    port = input_port(model, name)
    assert port is not None, f"{name}: its shape was read before"
    return port.get_node()


def _name(port: Any, name: str) -> None:
    port.get_tensor().set_names({name})


def _number(value: int | list[int]) -> Any:
    import openvino as ov
    from openvino import opset13 as op

    return op.constant(value, ov.Type.i64)


def _parameter(name: str, shape: list[int], kind: Any) -> Any:
    from openvino import opset13 as op

    node = op.parameter(shape, kind, name=name)
    _name(node.output(0), name)
    return node


def _converted(output: Any, kind: Any) -> Any:
    from openvino import opset13 as op

    return output if output.get_element_type() == kind else op.convert(output, kind).output(0)


def _replace(parameter: Any, value: Any) -> None:
    """Whatever read the parameter reads `value`."""
    for reader in list(parameter.output(0).get_target_inputs()):
        reader.replace_source_output(value)


def _model(name: str, inputs: list[Any], output: Any, output_name: str) -> Any:
    import openvino as ov
    from openvino import opset13 as op

    _name(output, output_name)
    return ov.Model([op.result(output)], inputs, name)
