"""Bundles: written whole, read with suspicion."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from support.bundles import golden, graph, manifest, write_bundle

from models import bundle as bundles
from models.errors import BundleError, ManifestError, UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "test")


def rewrite_manifest(folder: Path, **changes: object) -> None:
    path = folder / "manifest.json"
    path.write_bytes(msgspec.json.encode({**msgspec.json.decode(path.read_bytes()), **changes}))


def replace_model(folder: Path, model: onnx.ModelProto) -> None:
    """Put another graph in, with a checksum that agrees: only looking inside can tell."""
    data = model.SerializeToString()
    (folder / "model.onnx").write_bytes(data)
    files = msgspec.json.decode((folder / "manifest.json").read_bytes())["files"]
    rewrite_manifest(folder, files={**files, "model.onnx": hashlib.sha256(data).hexdigest()})


def test_written_bundle_reads_back_verified(folder: Path) -> None:
    bundle = bundles.read(folder)
    assert bundle.model == (folder / "model.onnx").read_bytes()
    np.testing.assert_array_equal(bundle.golden.windows, golden().windows)
    assert bundle.manifest.model_sha256 == hashlib.sha256(bundle.model).hexdigest()[:12]


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz"])
def test_one_flipped_bit_is_noticed(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(BundleError, match=rf"expected sha256 .*, got .* at .*{name}; the file was altered"):
        bundles.read(folder)


def test_missing_file_is_named(folder: Path) -> None:
    (folder / "golden.npz").unlink()
    with pytest.raises(BundleError, match=r"expected a readable file, got No such file .*golden\.npz"):
        bundles.read(folder)


def test_what_serving_does_not_need_may_be_left_out_but_not_altered(tmp_path: Path) -> None:
    folder = tmp_path / "test"
    bundles.write(folder, manifest(), graph().SerializeToString(), golden(), {"training.json": b"{}"})
    (folder / "training.json").write_bytes(b"[]")
    with pytest.raises(BundleError, match=r"training\.json"):
        bundles.read(folder)
    (folder / "training.json").unlink()
    assert bundles.read(folder).manifest.name == "test"


def test_external_data_is_refused(folder: Path) -> None:
    model = graph()
    tensor = model.graph.initializer[2]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    tensor.ClearField("raw_data")
    replace_model(folder, model)
    with pytest.raises(BundleError, match="expected weights inside the file, got external data for `weights`"):
        bundles.read(folder)


def test_external_data_hidden_in_a_branch_is_refused(folder: Path) -> None:
    model = graph()
    tensor = TensorProto(name="hidden", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    branch = helper.make_graph([helper.make_node("Constant", [], ["out"], value=tensor)], "branch", [], [])
    model.graph.node.append(helper.make_node("If", ["c"], ["o"], then_branch=branch, else_branch=branch))
    replace_model(folder, model)
    with pytest.raises(BundleError, match="external data for `hidden`"):
        bundles.read(folder)


def change_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: setattr(m.graph.node[0], "domain", "evil.ops"), "expected operators of ONNX Runtime, got `evil.ops"),
        (lambda m: setattr(m.opset_import[0], "version", 21), "expected opset 20, got 21"),
        (change_input, r"expected inputs .*5, 2.*, got .*6, 2"),
        (lambda m: setattr(m.graph.output[0], "name", "logit"), "expected outputs .*`?probability"),
    ],
)
def test_graph_that_is_not_the_manifests_is_refused(
    folder: Path, change: Callable[[onnx.ModelProto], None], message: str
) -> None:
    model = graph()
    change(model)
    replace_model(folder, model)
    with pytest.raises(BundleError, match=message):
        bundles.read(folder)


def test_bytes_that_are_no_graph_are_refused(folder: Path) -> None:
    data = b"not a graph"
    (folder / "model.onnx").write_bytes(data)
    files = msgspec.json.decode((folder / "manifest.json").read_bytes())["files"]
    rewrite_manifest(folder, files={**files, "model.onnx": hashlib.sha256(data).hexdigest()})
    with pytest.raises(BundleError, match="expected an ONNX graph"):
        bundles.read(folder)


def test_wrong_unit_names_the_sensor_and_the_manifest(folder: Path) -> None:
    sensors = msgspec.json.decode((folder / "manifest.json").read_bytes())["sensors"]
    rewrite_manifest(folder, sensors=[sensors[0], {**sensors[1], "name": "mould_level_cm"}])
    with pytest.raises(ManifestError, match=r"expected sensor `mould_level_mm`, got `mould_level_cm` at sensors\[1\]"):
        bundles.read(folder)


def test_golden_windows_of_another_shape_are_refused(tmp_path: Path) -> None:
    wrong = bundles.Golden(np.zeros((2, 4, 2), np.float32), np.zeros((2, 1), np.float32))
    with pytest.raises(BundleError, match=r"expected windows float32 \[n ≥ 1, 5, 2\], got float32 \[2, 4, 2\]"):
        bundles.write(tmp_path / "test", manifest(), graph().SerializeToString(), wrong, {})
    assert list(tmp_path.iterdir()) == []


def test_pickled_arrays_are_refused(folder: Path) -> None:
    np.savez(folder / "golden.npz", windows=np.array([{}], dtype=object), probabilities=np.zeros(1))
    files = msgspec.json.decode((folder / "manifest.json").read_bytes())["files"]
    digest = hashlib.sha256((folder / "golden.npz").read_bytes()).hexdigest()
    rewrite_manifest(folder, files={**files, "golden.npz": digest})
    with pytest.raises(BundleError, match="expected arrays"):
        bundles.read(folder)


def test_rewriting_replaces_the_whole_folder(folder: Path) -> None:
    (folder / "stray.txt").write_text("old")
    write_bundle(folder, version="2")
    assert bundles.read(folder).manifest.version == "2"
    assert not (folder / "stray.txt").exists()
    assert [path.name for path in folder.parent.iterdir()] == ["test"]


def test_names_resolve_to_released_bundles_folders_and_current(tmp_path: Path) -> None:
    write_bundle(tmp_path / "released" / "one")
    released = tmp_path / "released"
    bundles.make_current("one", released)
    assert bundles.resolve("current", released) == bundles.resolve("one", released) == released / "one"
    assert bundles.resolve(released / "one") == released / "one"
    with pytest.raises(UsageError, match=r"one of: one\), got `two` at model.bundle"):
        bundles.resolve("two", released)
    with pytest.raises(UsageError, match="expected a released bundle"):
        bundles.make_current("two", released)


def test_pointer_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "current").write_text("../../etc\n")
    with pytest.raises(ManifestError, match="expected a bundle name"):
        bundles.resolve("current", tmp_path)


def external(name: str) -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")
    return tensor


def hide_in_a_function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Constant", [], ["out"], value=external("hidden"))
    model.functions.append(helper.make_function("local", "f", [], ["out"], [node], [helper.make_opsetid("", 20)]))


def hide_in_sparse_weights(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.append(onnx.SparseTensorProto(values=external("hidden"), dims=[1]))


def hide_in_a_sparse_constant(model: onnx.ModelProto) -> None:
    sparse = onnx.SparseTensorProto(values=external("hidden"), dims=[1])
    model.graph.node.append(helper.make_node("Constant", [], ["out"], sparse_value=sparse))


@pytest.mark.parametrize("hide", [hide_in_a_function, hide_in_sparse_weights, hide_in_a_sparse_constant])
def test_places_to_hide_external_data_in_are_refused(folder: Path, hide: Callable[[onnx.ModelProto], None]) -> None:
    model = graph()
    hide(model)
    replace_model(folder, model)
    with pytest.raises(BundleError, match="expected a plain graph"):
        bundles.read(folder)


@pytest.mark.parametrize("data", [b"", b"PK", b"\x93NUMPY"])
def test_golden_file_that_is_no_archive_is_refused(folder: Path, data: bytes) -> None:
    (folder / "golden.npz").write_bytes(data)
    files = msgspec.json.decode((folder / "manifest.json").read_bytes())["files"]
    rewrite_manifest(folder, files={**files, "golden.npz": hashlib.sha256(data).hexdigest()})
    with pytest.raises(BundleError, match="expected arrays"):
        bundles.read(folder)
