"""The exported graph of every architecture: right at any batch, and lean."""

from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from models.alerting import AlertPolicy
from models.bundle import Bundle, Golden
from models.features import CASTING_SENSORS
from models.manifest import Manifest, Missing, Normalisation
from models.manifest import Tensor as TensorInfo
from models.runtime import Predictor
from models.windows import WindowRules
from trainer.architectures import Pooling, architecture_names, build_model
from trainer.config import from_dict
from trainer.graphs.serving_graph import ServingGraph, to_onnx
from trainer.graphs.verification import random_windows
from trainer.preprocess import Preprocess

ROWS = 21


def manifest(length: int) -> Manifest:
    sensors, targets = list(CASTING_SENSORS), ["sticker", "quality"]
    low, high = (np.array([getattr(sensor, end) for sensor in sensors]) for end in ("low", "high"))
    return Manifest(
        schema_version=1, name="test", version="1", created="", git_commit="", sensors=sensors, targets=targets,
        window=WindowRules(length, 500, 2, 5000),
        normalisation=Normalisation("zscore", list((low + high) / 2), list((high - low) / 4), 8.0),
        missing=Missing("forward_fill", list(low)),
        inputs=[TensorInfo("window", "float32", ["batch", length, len(sensors)])],
        outputs=[TensorInfo("probability", "float32", ["batch", len(targets)])],
        opset=20, alert={target: AlertPolicy(0.5, 0.5, 0, 0, 0) for target in targets}, files={"model.onnx": "0" * 64},
    )  # fmt: skip


@cache
def exported(name: str, pooling: Pooling) -> tuple[ServingGraph, bytes, Manifest]:
    torch.manual_seed(0)
    # In training the LSTM is computed in segments, which a graph must know nothing of.
    shared = {"hidden_size": 16, "pooling": pooling, "inputs": "change", "device": "cpu", "gradient_checkpointing": 8}
    told = manifest(ROWS)
    model = build_model(from_dict({"model_type": name, **shared}), len(told.sensors), 2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)  # so that answers differ
    graph = ServingGraph(Preprocess.from_manifest(told.normalisation, told.missing), model).eval()
    return graph, to_onnx(graph, told.window, len(told.sensors)), told


CASES: list[tuple[str, Pooling]] = [
    ("lstm", "attention"),
    ("cnn_lstm", "last_max"),
    ("attention_lstm", "last"),
    ("attention_lstm", "mean"),
]


@pytest.mark.parametrize(("name", "pooling"), CASES)
def test_graph_answers_as_torch_does_at_any_batch(name: str, pooling: Pooling) -> None:
    graph, model, told = exported(name, pooling)
    rng = np.random.default_rng(0)
    golden = random_windows(told, 5, rng)
    bundle = Bundle(Path(__file__), told, model, Golden(golden, graph.expected(golden)))
    predictor = Predictor(bundle, device="cpu", batch_sizes=(1, 3, 64, 257))
    for count in (1, 3, 64, 257):
        windows = random_windows(told, count, rng)
        expected = graph.expected(windows)
        assert np.abs(predictor.predict(windows) - expected).max() <= 1e-5
        alone = predictor.predict(windows[-1:])
        assert np.abs(predictor.predict(windows)[-1:] - alone).max() <= 1e-6  # whatever its neighbours
    assert np.ptp(expected, axis=0).min() > 0.01


@pytest.mark.parametrize(("name", "pooling"), CASES)
def test_nothing_idle_is_left_in_the_graph(name: str, pooling: Pooling) -> None:
    _, model, _ = exported(name, pooling)
    graph = onnx.load_from_string(model).graph
    made = {output: node for node in graph.node for output in node.output}
    kinds = Counter(node.op_type for node in graph.node)
    assert not {"Shape", "Expand", "Identity", "Split"} & set(kinds)
    assert kinds["Cast"] == (4 if pooling == "mean" else 2)  # to double precision and back, around each mean over time
    weights = {tensor.name for tensor in graph.initializer}
    lstms = [node for node in graph.node if node.op_type == "LSTM"]
    assert len(lstms) == 2
    for node in lstms:
        assert not any(node.input[5:])  # it starts from zeros by itself; none are made in every run
        assert set(node.input[1:4]) <= weights
    assert made[lstms[1].input[0]].op_type == "Squeeze"
    assert kinds["Transpose"] == (3 if name == "cnn_lstm" else 2)
    assert kinds["MultiHeadAttention"] == (1 if name == "attention_lstm" else 0)
    assert kinds["Softmax"] == (1 if pooling == "attention" else 0)


def test_every_architecture_is_tried() -> None:
    assert {name for name, _ in CASES} == set(architecture_names())
