"""A small, exact bundle for tests of everything around a model.

Its graph answers ``sigmoid(gain · (mean over the window of the first sensor, missing = 0) + bias)``: a test
steers the probability by the values it sends and can compute the expected one by hand.
"""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models import bundle as bundles
from models.alerting import AlertPolicy
from models.features import Sensor
from models.manifest import Manifest, Missing, Normalisation, Tensor
from models.windows import WindowRules

SENSORS = [Sensor("mould_tc_upper_left_c", "°C", 0.0, 400.0), Sensor("mould_level_mm", "mm", -60.0, 60.0)]
RULES = WindowRules(length=5, period_ms=500, stride=2, max_gap_ms=5000)
POLICY = AlertPolicy(0.7, 0.5, on_delay_ms=1000, off_delay_ms=2000, cooldown_ms=3000)
GAIN = 4.0
OPSET = 20


def graph(rules: WindowRules = RULES, sensors: int = len(SENSORS), gain: float = GAIN) -> onnx.ModelProto:
    """The test model as an ONNX graph."""
    weights = np.zeros((sensors, 1), np.float32)
    weights[0, 0] = gain
    nodes = [
        helper.make_node("IsNaN", ["window"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "window"], ["filled"]),
        helper.make_node("ReduceMean", ["filled", "time_axis"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["probability"]),
    ]
    constants = [
        numpy_helper.from_array(np.float32(0.0), "zero"),
        numpy_helper.from_array(np.array([1], np.int64), "time_axis"),
        numpy_helper.from_array(weights, "weights"),
    ]
    proto = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("window", TensorProto.FLOAT, ["batch", rules.length, sensors])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["batch", 1])],
        constants,
    )
    return helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)


def expected(windows: np.ndarray, gain: float = GAIN) -> np.ndarray:
    """What the graph answers for [n, time, sensor]: [n, 1]."""
    mean = np.nan_to_num(windows[:, :, :1], nan=0.0).mean(axis=1)
    return (1 / (1 + np.exp(-gain * mean))).astype(np.float32)


def manifest(rules: WindowRules = RULES, sensors: list[Sensor] | None = None, **changes: Any) -> Manifest:
    """A manifest that fits `graph`; files are filled in when the bundle is written."""
    sensors = sensors or SENSORS
    made = Manifest(
        schema_version=1,
        name="test",
        version="1",
        created="2026-01-01T00:00:00Z",
        git_commit="0" * 40,
        sensors=sensors,
        window=rules,
        normalisation=Normalisation("none", [0.0] * len(sensors), [1.0] * len(sensors)),
        missing=Missing("zero", [0.0] * len(sensors)),
        inputs=[Tensor("window", "float32", ["batch", rules.length, len(sensors)])],
        outputs=[Tensor("probability", "float32", ["batch", 1])],
        opset=OPSET,
        alert={"sticker": POLICY},
        files={},
        targets=["sticker"],
    )
    return msgspec.structs.replace(made, **changes)


def golden(rules: WindowRules = RULES, sensors: int = len(SENSORS), gain: float = GAIN) -> bundles.Golden:
    """Three windows, one with missing values, and their exact answers."""
    windows = np.linspace(-1, 1, 3 * rules.length * sensors, dtype=np.float32).reshape(3, rules.length, sensors)
    windows[1, 0] = np.nan
    return bundles.Golden(windows, expected(windows, gain))


def write_bundle(folder: Path, rules: WindowRules = RULES, *, gain: float = GAIN, **changes: Any) -> Path:
    """Write the test bundle into `folder`; `changes` go to its manifest."""
    made = graph(rules, gain=gain).SerializeToString()
    bundles.write(folder, manifest(rules, **changes), made, golden(rules, gain=gain), {})
    return folder
