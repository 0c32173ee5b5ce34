"""A float32 graph made ready for int8: whatever the batch, its LSTMs will be quantised with the same scales.

ONNX Runtime's int8 LSTM takes the scale of its inputs, and at every step that of its hidden states, from the smallest
and the largest value in the *whole batch*, so that a window's answer depends on its neighbours. Here both ends of
either range are put into every window of the batch, and nothing else can reach beyond them:

- the inputs are clipped to a calibrated range, and two columns hold its ends; their weights are 0;
- two hidden units more have the gates i = f = o = 1 and the candidates +1 and -1. After t steps from a zero state
  theirs are ±tanh(t), and no unit can exceed that: its cell grows by less than 1 a step. The weights from them are 0
  and the output is cut off before them.

A value that lies next to a rounding boundary still tips over if its last bit depends on the batch. A mean over time
did, as ONNX Runtime sums one window in another order than several; the architectures take means in double precision.

In float32 the rewritten graph answers as the first one did, as long as no input lies outside its range.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from trainer.errors import ExportError
from trainer.graphs.graph_parts import replace_nodes

Range = tuple[float, float]
"""Smallest and largest value."""

_SATURATED = 30.0
"""A gate's input at which sigmoid and tanh are 1 in float32."""

_GATES, _CANDIDATE = 4, 3
"""ONNX orders an LSTM's gates i, o, f, c."""

_PINS = 2


def lstm_inputs(model: onnx.ModelProto) -> list[str]:
    """The names of the tensors that go into the graph's LSTMs, each [time, batch, feature]."""
    return [node.input[0] for node in model.graph.node if node.op_type == "LSTM"]


def pin_lstms(model: onnx.ModelProto, ranges: Mapping[str, Range]) -> onnx.ModelProto:
    """A copy of a graph whose LSTMs hold both ends of their ranges in every window.

    Args:
        model: float32; its LSTMs run forward in time from a zero state.
        ranges: of every tensor of `lstm_inputs`.

    Raises:
        ExportError: an LSTM of another kind.
    """
    pinned = onnx.ModelProto()
    pinned.CopyFrom(model)
    graph = pinned.graph
    weights = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    added: list[onnx.TensorProto] = []
    for number, node in enumerate(graph.node):
        if node.op_type == "LSTM":
            rewriting = _Rewriting(f"pinned_{number}_", weights)
            nodes += rewriting.lstm(node, ranges[node.input[0]])
            added += rewriting.initializers
        else:
            nodes.append(node)
    replace_nodes(graph, nodes, added)
    return pinned


class _Rewriting:
    """The nodes and constants that one LSTM becomes, all named with its own prefix."""

    def __init__(self, prefix: str, weights: Mapping[str, Any]) -> None:
        self.initializers: list[onnx.TensorProto] = []
        self._prefix = prefix
        self._weights = weights

    def lstm(self, node: onnx.NodeProto, bounds: Range) -> Iterator[onnx.NodeProto]:
        attributes = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
        names = [*node.input, *[""] * (8 - len(node.input))]
        x, w, r, b, lengths, hidden, cell, peepholes = names
        unusual = attributes.get("layout", 0) or attributes.get("direction", b"forward") != b"forward" or peepholes
        if unusual or attributes.get("input_forget", 0) or not {w, r, b} <= set(self._weights):
            raise ExportError(f"expected a plain forward LSTM with constant weights, got another at `{node.name}`")
        units = self._weights[r].shape[-1]
        low, high = (self._constant(name, np.float32(end)) for name, end in zip(("low", "high"), bounds, strict=True))
        zero = self._constant("zero", np.float32(0))
        one_more, two_more = (self._constant(f"more_{n}", np.array([0, 0, 0, 0, 0, n])) for n in (1, _PINS))
        clipped, lower, pinned = (self._prefix + name for name in ("clipped", "lower", "input"))
        yield helper.make_node("Clip", [x, low, high], [clipped])
        yield helper.make_node("Pad", [clipped, one_more, low], [lower])
        yield helper.make_node("Pad", [lower, one_more, high], [pinned])
        states: list[str] = []
        for state in (hidden, cell):
            states.append(f"{self._prefix}{state}_{len(states)}" if state else "")
            if state:
                yield helper.make_node("Pad", [state, two_more, zero], [states[-1]])
        outputs = [self._prefix + name if name else "" for name in node.output]
        widened = [self._constant(kind, value) for kind, value in self._widened(w, r, b, units)]
        kept = {key: value for key, value in attributes.items() if key != "hidden_size"}
        yield helper.make_node(
            "LSTM", [pinned, *widened, lengths, *states], outputs, node.name, hidden_size=units + _PINS, **kept
        )
        start, end = self._constant("start", np.array([0])), self._constant("end", np.array([units]))
        last = self._constant("last", np.array([-1]))
        for wide, output in zip(outputs, node.output, strict=True):
            if output:
                yield helper.make_node("Slice", [wide, start, end, last], [output])

    def _widened(self, w: str, r: str, b: str, units: int) -> Iterator[tuple[str, Any]]:
        """The weights with two columns and two units more."""
        for kind, name in (("weights", w), ("recurrent", r)):
            gates = self._weights[name].reshape(_GATES, units, -1)
            yield kind, np.pad(gates, ((0, 0), (0, _PINS), (0, _PINS))).reshape(1, _GATES * (units + _PINS), -1)
        biases = np.pad(self._weights[b].reshape(2, _GATES, units), ((0, 0), (0, 0), (0, _PINS)))
        biases[0, :, units:] = _SATURATED
        biases[0, _CANDIDATE, -1] = -_SATURATED
        yield "biases", biases.reshape(1, -1)

    def _constant(self, name: str, value: Any) -> str:
        self.initializers.append(numpy_helper.from_array(np.asarray(value), self._prefix + name))
        return self._prefix + name
