"""How fast the exported graph is beside what torch's older exporter makes of the same network.

ONNX Runtime, one thread, processor time; the two take turns run by run, so that what else the machine does meets both
alike. A run that was disturbed weighs nothing in a median.
"""

import copy
import io
import statistics
import time
import warnings
from collections.abc import Iterator

import numpy as np
import onnxruntime as ort
import torch
from results import REPETITIONS, Row, row

from models.manifest import INPUT_NAME, OUTPUT_NAME
from models.windows import WindowRules
from trainer.architectures import build_model
from trainer.config import from_dict
from trainer.graphs.serving_graph import OPSET, ServingGraph, to_onnx
from trainer.preprocess import Preprocess

SENSORS = 20
ARCHITECTURES = ("lstm", "cnn_lstm", "attention_lstm")
LENGTHS, BATCHES = (120, 240), (1, 8, 64)
TURN_S = 0.06
"""Processor time of one export in one repetition; four runs at least."""

AT_LEAST = 0.97
"""Not 1: where both graphs come to the same kernels only noise is left, and on a busy machine two sessions of the
*same* file came out between 0.961 and 1.021 of each other."""


def rows() -> Iterator[Row]:
    """Measure."""
    for name in ARCHITECTURES:
        for length in LENGTHS:
            graph = _network(name, length)
            ours_onnx, older_onnx = _ours(graph, length), _older(graph, length)
            # Of two sessions of the same file the first is a little slower: each export has one early and one late.
            first, second, third, fourth = map(_session, (ours_onnx, older_onnx, older_onnx, ours_onnx))
            for batch in BATCHES:
                ours, older = _race([[first, fourth], [second, third]], batch, length)
                of = statistics.median(older)
                name_of_row = f"{name}, windows of {length} by {SENSORS}, batch {batch}"
                yield row(name_of_row, ours, "windows/s", f"{of:,.0f} by torch's older exporter", of, AT_LEAST)


def _network(name: str, length: int) -> ServingGraph:
    torch.manual_seed(0)
    config = from_dict({"model_type": name, "pooling": "last_max", "inputs": "change", "window_length": length})
    zeros, ones = np.zeros(SENSORS, np.float32), np.ones(SENSORS, np.float32)
    return ServingGraph(Preprocess(zeros, ones, zeros, 8.0), build_model(config, SENSORS, 1)).eval()


def _ours(graph: ServingGraph, length: int) -> bytes:
    return to_onnx(graph, WindowRules(length, 500, 1, 5000), SENSORS)


def _older(graph: ServingGraph, length: int) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            copy.deepcopy(graph),
            (torch.zeros(4, length, SENSORS),),
            file,
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            dynamic_axes={INPUT_NAME: {0: "batch"}, OUTPUT_NAME: {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )
    return file.getvalue()


def _session(model: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _race(exports: list[list[ort.InferenceSession]], batch: int, length: int) -> list[list[float]]:
    """Windows a second of each export, whose sessions take turns; one figure a repetition."""
    windows = np.random.default_rng(0).standard_normal((batch, length, SENSORS)).astype(np.float32)
    windows[np.random.default_rng(1).random(windows.shape) < 0.02] = np.nan
    feed = {INPUT_NAME: windows}
    one_s = max(_timed(session, feed) for _ in range(2) for sessions in exports for session in sessions)
    runs = max(4, int(TURN_S / one_s))
    found: list[list[float]] = [[] for _ in exports]
    for _ in range(REPETITIONS):
        times: list[list[float]] = [[] for _ in exports]
        for turn in range(runs):
            for place in range(len(exports)):
                which = (turn // 2 + place) % len(exports)
                times[which].append(_timed(exports[which][turn % 2], feed))
        for which, own in enumerate(times):
            found[which].append(batch / statistics.median(own))
    return found


def _timed(session: ort.InferenceSession, feed: dict[str, np.ndarray]) -> float:
    began_s = time.process_time()
    session.run([OUTPUT_NAME], feed)
    return time.process_time() - began_s
