"""What makes the exported graph as fast as the same network can be: a translation and two passes over the graph.

torch's exporter is right but wordy, and ONNX Runtime mends only part of it. Measured by `tests/bench/bench_export.py`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from onnx.defs import OpSchema
from onnxscript import ir, optimizer, values
from onnxscript import opset20 as op

_MICROSOFT = values.Opset("com.microsoft", 1)
_ATTENTION = OpSchema(
    "MultiHeadAttention",
    _MICROSOFT.domain,
    _MICROSOFT.version,
    inputs=[OpSchema.FormalParameter(name, "T") for name in ("query", "key", "value")],
    outputs=[OpSchema.FormalParameter("output", "T")],
    type_constraints=[("T", ["tensor(float)"], "")],
    attributes=[
        OpSchema.Attribute("num_heads", OpSchema.AttrType.INT),
        OpSchema.Attribute("scale", OpSchema.AttrType.FLOAT, required=False),
    ],
)
"""As much of ONNX Runtime's operator as is used; onnx itself knows only its own."""
_FOLD_UP_TO = 1 << 26
"""Elements: the exporter leaves the re-ordering of an LSTM's gates as nodes, because its weights are large."""

_PASSES_ZEROS_ON = {"Expand", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"}


def fused_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """Translate attention [b, heads, t, d] to ONNX Runtime's own operator.

    The exporter's translation multiplies, takes the softmax and multiplies again, with [b, heads, t, t] in memory in
    between and every part transposed; the operator goes through it in blocks that stay in the cache.
    """
    if attn_mask is not None or dropout_p or is_causal or enable_gqa:
        raise NotImplementedError("attention is exported without mask or dropout")
    heads, size = int(query.shape[1]), int(query.shape[1]) * int(query.shape[3])
    flat_shape: Any = [0, 0, size]
    by_head_shape: Any = [0, 0, heads, -1]
    flat = [op.Reshape(op.Transpose(part, perm=[0, 2, 1, 3]), flat_shape) for part in (query, key, value)]
    options = {} if scale is None else {"scale": scale}
    found = values.Op(_MICROSOFT, _ATTENTION.name, _ATTENTION)(*flat, num_heads=heads, **options)
    return op.Transpose(op.Reshape(found, by_head_shape), perm=[0, 2, 1, 3])


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.aten.scaled_dot_product_attention.default: fused_attention
}
"""For `torch.onnx.export(custom_translation_table=…)`."""


def optimize(model: ir.Model) -> None:
    """Fold constants and simplify, in place."""
    optimizer.optimize_ir(model, input_size_limit=_FOLD_UP_TO, output_size_limit=_FOLD_UP_TO)
    for node in list(model.graph):
        if node.op_type == "LSTM":
            _drop_zero_state(node)
            _squeeze_directions(model.graph, node)
    optimizer.optimize_ir(model)  # what fed the nodes that are gone goes too


def _drop_zero_state(lstm: ir.Node) -> None:
    """An LSTM starts from zeros by itself; the exporter makes them in every run, as large as the batch."""
    for place in (5, 6):  # initial_h, initial_c
        if len(lstm.inputs) > place and _is_zero(lstm.inputs[place]):
            lstm.replace_input_with(place, None)


def _is_zero(value: ir.Value | None) -> bool:
    if value is None:
        return False
    constant = ir.convenience.get_const_tensor(value)
    if constant is not None:
        return not np.any(constant.numpy())
    node = value.producer()
    return node is not None and node.op_type in _PASSES_ZEROS_ON and _is_zero(node.inputs[0])


def _squeeze_directions(graph: ir.Graph, lstm: ir.Node) -> None:
    """One direction's states [t, 1, b, h] become [t, b, h] at no cost.

    The exporter transposes the axes 1 and 2, which copies all states, and reshapes to a shape it reckons in every run.
    """
    direction = lstm.attributes.get("direction")
    if direction is not None and direction.as_string() == "bidirectional":
        return
    for transposed in [node for node in lstm.outputs[0].consumers() if node.op_type == "Transpose"]:
        if list(transposed.attributes["perm"].as_ints()) != [0, 2, 1, 3]:
            continue
        for reshaped in [node for node in transposed.outputs[0].consumers() if node.op_type == "Reshape"]:
            if _elements(reshaped.inputs[1]) != 3:
                continue
            axis = ir.node("Constant", [], {"value_ints": [1]})
            squeezed = ir.node("Squeeze", [lstm.outputs[0], axis.outputs[0]])
            graph.insert_before(reshaped, [axis, squeezed])
            ir.convenience.replace_all_uses_with(reshaped.outputs[0], squeezed.outputs[0])


def _elements(shape: ir.Value | None) -> int | None:
    """Of a shape that is given or joined together, the number of dimensions."""
    if shape is None:
        return None
    constant = ir.convenience.get_const_tensor(shape)
    if constant is not None:
        return int(constant.size)
    node = shape.producer()
    return len(node.inputs) if node is not None and node.op_type == "Concat" else None
