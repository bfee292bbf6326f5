"""A trained net as ONNX: ``x (n, inputs)`` to ``scores`` and, of classes, ``probabilities``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcsweep.config import RunConfig, sizes
from fcsweep.export.plain_torch import layers_of
from fcsweep.kernels.hidden_units import EPS, SLOPE

OPSET, IR = 17, 8
"""Of 2022: what every runtime of today reads."""


def graph(config: RunConfig, params: Mapping[str, NDArray[Any]]) -> Any:
    """The model.

    Args:
        config: of the run.
        params: ``W1 (i, o)``, ``b1 (o,)``, ... by name.
    """
    from onnx import TensorProto, checker, helper, numpy_helper

    kind = TensorProto.DOUBLE if config.dtype == "float64" else TensorProto.FLOAT
    inputs, *hidden, classes = sizes.units(config)
    initial = [numpy_helper.from_array(np.ascontiguousarray(p), n) for n, p in params.items()]
    nodes, x = list[Any](), "x"
    for number in range(1, len(hidden) + 1):
        nodes += _hidden_layer(config, number, x)
        x = f"a{number}"
    last = [f"W{len(hidden) + 1}", f"b{len(hidden) + 1}"]
    nodes.append(helper.make_node("Gemm", [x, *last], ["scores"]))
    names = ["scores"]
    if classes > 1:
        nodes.append(helper.make_node("Softmax", ["scores"], ["probabilities"], axis=-1))
        names.append("probabilities")
    if layers_of(config).activation == "gelu":
        dtype = np.dtype(config.dtype)
        constants = {"half": 0.5, "one": 1.0, "sqrt_half": math.sqrt(0.5)}
        initial += [numpy_helper.from_array(np.array(v, dtype), n) for n, v in constants.items()]
    value = helper.make_tensor_value_info
    outputs = [value(name, kind, ["n", classes]) for name in names]
    made = helper.make_graph(nodes, "net", [value("x", kind, ["n", inputs])], outputs, initial)
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(made, producer_name="fcsweep", opset_imports=opset, ir_version=IR)
    checker.check_model(model)
    return model


def scores(model: Any, x: NDArray[Any]) -> NDArray[Any]:
    """The scores of rows, by the reference implementation of ONNX."""
    from onnx.reference import ReferenceEvaluator

    found: Any = ReferenceEvaluator(model).run(["scores"], {"x": x})
    return found[0]


def _hidden_layer(config: RunConfig, number: int, x: str) -> list[Any]:
    """From ``x`` to ``a1`` by ``h1`` and, normalized, ``n1``; so with each number."""
    from onnx.helper import make_node

    affine, normal = f"h{number}", f"n{number}"
    nodes = [make_node("Gemm", [x, f"W{number}", f"b{number}"], [affine])]
    normalization = layers_of(config).normalization
    if normalization == "none":
        return nodes + _activation(layers_of(config).activation, affine, f"a{number}")
    given = [f"{name}{number}" for name in ("gamma", "beta")]
    kind = "LayerNormalization"  # over the last axis, unless told otherwise
    if normalization == "batch":
        kind = "BatchNormalization"
        given += [f"{name}{number}" for name in ("running_mean", "running_var")]
    nodes.append(make_node(kind, [affine, *given], [normal], epsilon=EPS))
    return nodes + _activation(layers_of(config).activation, normal, f"a{number}")


def _activation(name: str, x: str, out: str) -> list[Any]:
    from onnx.helper import make_node

    if name == "gelu":  # of its parts: the operator itself is of a later version
        scaled, erf, twice, cdf = (f"{out}_{part}" for part in ("scaled", "erf", "twice", "cdf"))
        return [
            make_node("Mul", [x, "sqrt_half"], [scaled]),
            make_node("Erf", [scaled], [erf]),
            make_node("Add", [erf, "one"], [twice]),
            make_node("Mul", [twice, "half"], [cdf]),
            make_node("Mul", [x, cdf], [out]),
        ]
    if name == "leaky_relu":
        return [make_node("LeakyRelu", [x], [out], alpha=SLOPE)]
    return [make_node({"relu": "Relu", "tanh": "Tanh"}[name], [x], [out])]
