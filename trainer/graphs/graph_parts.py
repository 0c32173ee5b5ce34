"""Which part of an exported graph is the network, taking it out, and putting another in its place."""

import onnx
from onnx import TensorProto
from onnx.utils import Extractor

from models.manifest import OUTPUT_NAME
from trainer.errors import ExportError

_WEIGHTED = {"LSTM", "GRU", "Conv", "MatMul", "Gemm"}
"""Operators with weights: the network begins at the first of them after the normalisation."""

_WHITENING = "model.whitening.matrix"
"""No weight: it takes small differences of large numbers, which must not be rounded first."""


def split_network(model: onnx.ModelProto) -> tuple[list[onnx.NodeProto], onnx.ModelProto]:
    """A graph's nodes around the network, and the network as a graph of its own.

    The network is all but what comes before its first weights (filling, normalising, whitening, a mean that is
    subtracted) and the node that makes the probabilities.

    Raises:
        ExportError: no normalisation or no network to be found.
    """
    typed = onnx.shape_inference.infer_shapes(model, check_type=True)
    nodes = list(typed.graph.node)
    before = _before_the_network(nodes)
    outer = before | {index for index, node in enumerate(nodes) if OUTPUT_NAME in node.output}
    around = [node for index, node in enumerate(nodes) if index in outer]
    inside = [node for index, node in enumerate(nodes) if index not in outer]
    made_inside = {name for node in inside for name in node.output}
    weights = {entry.name for entry in typed.graph.initializer}
    entering = {name for node in inside for name in node.input if name} - made_inside - weights
    leaving = {name for node in around for name in node.input} & made_inside
    return around, Extractor(typed).extract_model(sorted(entering), sorted(leaving))


def join_network(
    model: onnx.ModelProto, around: list[onnx.NodeProto], network: onnx.ModelProto, prefix: str
) -> onnx.ModelProto:
    """The graph with another network in it, whose weights get a prefix; its nodes are not in order.

    Args:
        model: the graph that was split.
        around: its nodes around the network.
        network: with the same inputs and outputs as the one that was taken out.
        prefix: of the names of the weights, so that they do not meet those outside.
    """
    joined = onnx.ModelProto()
    joined.CopyFrom(model)
    for entry in network.graph.initializer:
        rename(network, entry.name, prefix + entry.name)
        entry.name = prefix + entry.name
    replace_nodes(joined.graph, [*around, *network.graph.node], list(network.graph.initializer))
    return joined


def rename(model: onnx.ModelProto, name: str, to: str) -> None:
    """Let every node that takes one tensor take another."""
    for node in model.graph.node:
        for index, entry in enumerate(node.input):
            if entry == name:
                node.input[index] = to


def replace_nodes(graph: onnx.GraphProto, nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto]) -> None:
    """Give a graph other nodes and further weights; weights nobody uses and known shapes are dropped."""
    used = {name for node in nodes for name in node.input}
    kept = [entry for entry in (*graph.initializer, *weights) if entry.name in used]
    # Copies, because emptying a graph takes its nodes along.
    new_nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    new_weights = [TensorProto.FromString(entry.SerializeToString()) for entry in kept]
    for field in ("node", "initializer", "value_info"):
        graph.ClearField(field)
    graph.node.extend(new_nodes)
    graph.initializer.extend(new_weights)


def _before_the_network(nodes: list[onnx.NodeProto]) -> set[int]:
    made_by = {output: index for index, node in enumerate(nodes) for output in node.output}
    normalised = next((index for index, node in enumerate(nodes) if node.op_type == "Clip"), None)
    if normalised is None:
        raise ExportError("expected the clipping that ends the normalisation, got a graph without at model.onnx")
    before = {normalised, *_ancestors(normalised, nodes, made_by)}
    weighted = {
        index for index, node in enumerate(nodes) if node.op_type in _WEIGHTED and _WHITENING not in node.input
    } - before
    if not weighted:
        raise ExportError("expected a network after the normalisation, got none at model.onnx")
    for index in weighted:
        above = _ancestors(index, nodes, made_by)
        if not above & weighted:
            before |= above
    return before


def _ancestors(index: int, nodes: list[onnx.NodeProto], made_by: dict[str, int]) -> set[int]:
    found: set[int] = set()
    waiting = [index]
    while waiting:
        makers = {made_by[name] for name in nodes[waiting.pop()].input if name in made_by}
        waiting += makers - found
        found |= makers
    return found
