"""A float32 graph in less precision: int8 for the CPU, fp16 for the GPU. Inputs and outputs stay as they are.

    data = to_int8(bundle.model, windows)      # the LSTMs in int8, all else float32
    data = to_fp16(bundle.model)               # the network in fp16, preprocessing and sigmoid in float32

Whether the result is good for anything is found out in `trainer.quantized_bundle`. Only this module imports
`onnxruntime.quantization` and `onnxruntime.transformers`.
"""

import logging
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx

from models.errors import UsageError
from models.manifest import INPUT_NAME
from models.windows import Float32Array
from trainer.graphs.graph_parts import join_network, split_network
from trainer.graphs.pinned_lstm import Range, lstm_inputs, pin_lstms

_CALIBRATION_BATCH = 64


def to_int8(model: bytes, windows: Float32Array) -> bytes:
    """A graph whose LSTMs compute in int8, with scales that do not depend on the batch.

    Weights are kept to seven bits: with eight, processors without VNNI saturate when they add two products, and would
    compute something else than those with.

    Args:
        model: float32.
        windows: [n, time, sensor] of the training split, to find the range of what goes into the LSTMs.

    Raises:
        UsageError: no LSTM in it.
        ExportError: an LSTM that cannot be rewritten.
    """
    proto = onnx.load_from_string(model)
    if not lstm_inputs(proto):
        raise UsageError("expected a model with an LSTM, got one without at --kind int8: there is nothing to gain")
    with tempfile.TemporaryDirectory() as scratch, _quiet():
        from onnxruntime.quantization import quantize_dynamic

        pinned = pin_lstms(proto, _ranges(proto, windows, Path(scratch)))
        path = Path(scratch) / "int8.onnx"
        quantize_dynamic(pinned, path, op_types_to_quantize=["LSTM"], reduce_range=True)
        return _finished(onnx.load(path))


def to_fp16(model: bytes) -> bytes:
    """A graph whose network computes in fp16.

    What comes before the network's first weights stays float32: readings may be as large as 1e30, and a mean over the
    window must not be rounded away before it is subtracted. So does the last sigmoid: fp16 knows no probability
    between 0.9995 and 1, and thresholds lie there.

    Raises:
        ExportError: no normalisation or no network to be found in the graph.
    """
    from onnxruntime.quantization.onnx_model import ONNXModel

    proto = onnx.load_from_string(model)
    around, network = split_network(proto)
    half = _float16_converter()(network, keep_io_types=True, op_block_list=[])
    joined = ONNXModel(join_network(proto, around, half, "fp16_"))
    joined.topological_sort()
    return _finished(joined.model)


def _ranges(proto: onnx.ModelProto, windows: Float32Array, scratch: Path) -> dict[str, Range]:
    """The smallest and largest value of every tensor that goes into an LSTM."""
    from onnxruntime.quantization import CalibrationDataReader, create_calibrator

    class Windows(CalibrationDataReader):  # type: ignore[misc]
        parts = iter([windows[n : n + _CALIBRATION_BATCH] for n in range(0, len(windows), _CALIBRATION_BATCH)])

        def get_next(self) -> dict[str, Float32Array] | None:
            part = next(self.parts, None)
            return None if part is None else {INPUT_NAME: part}

    onnx.save(proto, scratch / "float32.onnx")
    calibrator = create_calibrator(scratch / "float32.onnx", ["LSTM"], str(scratch / "calibrated.onnx"))
    calibrator.collect_data(Windows())
    found = calibrator.compute_data().data
    ranges = {}
    for name in lstm_inputs(proto):
        low, high = (float(end.item()) for end in found[name].range_value)
        ranges[name] = min(low, 0.0), max(high, 0.0)
    return ranges


def _finished(proto: onnx.ModelProto) -> bytes:
    """The file, without traces of the tools that made it."""
    del proto.metadata_props[:]
    del proto.graph.value_info[:]
    proto.producer_name = proto.producer_version = ""
    onnx.shape_inference.infer_shapes(proto, check_type=True)
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


@contextmanager
def _quiet() -> Iterator[None]:
    """The quantiser recommends a preparation by its own tool on the root logger; this graph has had its own."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _float16_converter() -> Callable[..., onnx.ModelProto]:
    """ONNX Runtime's own converter; importing it puts its folder on the path, which is taken back."""
    path = list(sys.path)
    try:
        from onnxruntime.transformers.float16 import convert_float_to_float16
    finally:
        sys.path[:] = path
    converter: Callable[..., onnx.ModelProto] = convert_float_to_float16
    return converter
