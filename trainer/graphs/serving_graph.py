"""The graph that is served: preprocessing, model and sigmoid in one, and its way into one ONNX file."""

import copy
import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from models.manifest import INPUT_NAME, OUTPUT_NAME
from models.windows import Float32Array, WindowRules
from trainer.architectures.base import SequenceModel
from trainer.errors import ExportError
from trainer.preprocess import Preprocess

OPSET = 20
"""Newer LSTM operators have no CUDA kernel in ONNX Runtime."""


class RawModel(nn.Module):
    """A model that takes raw windows: [b, time, sensor] in engineering units, NaN = missing, to logits [b, target]."""

    def __init__(self, preprocess: Preprocess, model: SequenceModel) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.model = model

    def forward(self, window: Tensor) -> Tensor:
        """Logits of raw windows."""
        logits: Tensor = self.model(self.preprocess(window))
        return logits

    @torch.inference_mode()
    def predict_proba(self, window: Tensor) -> Tensor:
        """Probabilities of raw windows, [b, target]; dropout is off, whatever the mode."""
        return self.model.predict_proba(self.preprocess(window))


class ServingGraph(RawModel):
    """What is exported: raw windows [b, time, sensor] with NaN to probabilities [b, target]."""

    def forward(self, window: Tensor) -> Tensor:
        """Probabilities of raw windows."""
        return torch.sigmoid(super().forward(window))

    @torch.inference_mode()
    def expected(self, windows: Float32Array) -> Float32Array:
        """Torch's answer to raw windows, to hold ONNX Runtime's against."""
        answer: Float32Array = self(torch.from_numpy(windows)).numpy()
        return answer


def to_onnx(graph: ServingGraph, rules: WindowRules, sensors: int) -> bytes:
    """Export to one self-contained ONNX file with a symbolic batch; quietly, and without traces of this machine."""
    with _quiet(), torch.no_grad():  # with gradients an LSTM may be in segments, see `gradient_checkpointing`
        from onnxscript import ir

        from trainer.graphs import graph_passes

        program = torch.onnx.export(
            copy.deepcopy(graph).eval(),  # the exporter re-assigns an LSTM's weights while it traces
            (torch.zeros(4, rules.length, sensors),),
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            dynamic_shapes={INPUT_NAME: {0: torch.export.Dim("batch")}},
            opset_version=OPSET,
            dynamo=True,
            optimize=False,
            custom_translation_table=graph_passes.TRANSLATIONS,
            external_data=False,
            verbose=False,
        )
        if program is None:
            raise ExportError("expected an ONNX program, got none from torch.onnx.export")
        graph_passes.optimize(program.model)
        proto = ir.to_proto(program.model)
    _strip(proto)
    onnx.checker.check_model(proto)
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


def _strip(proto: onnx.ModelProto) -> None:
    """Remove what only a debugger reads; some of it names source files of the machine that exported."""
    graph = proto.graph
    del proto.metadata_props[:]
    proto.doc_string = graph.doc_string = ""
    parts: Iterable[Any] = (graph, *graph.node, *graph.initializer, *graph.input, *graph.output, *graph.value_info)
    for part in parts:
        del part.metadata_props[:]
        part.doc_string = ""


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of its own internals; nothing of it concerns whoever trains a model."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
