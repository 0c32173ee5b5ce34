"""A bundle: one model in one folder, written once, read with suspicion.

    models/sequence/current        one line, the name of a bundle
    models/sequence/<name>/        manifest.json, model.onnx, golden.npz and what training left beside them

`read` returns *verified bytes*: every checksum compared, sizes capped, the graph free of external data and
foreign operators, its inputs and outputs those of the manifest. Nothing is opened a second time after it was
checked, so a file that changes underneath cannot slip in. What serving does not need (weights, training.json)
may be left out of a deployment; if it is there, it is verified too.
"""

import hashlib
import io
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import onnx
from google.protobuf.message import DecodeError

from models import manifest as manifests
from models.errors import BundleError, ManifestError, UsageError, mismatch
from models.manifest import GOLDEN_FILE, MODEL_FILE, Manifest
from models.whole_file import sync_folder, write_whole
from models.windows import Float32Array

RELEASED = Path(__file__).parent / "sequence"
CURRENT = "current"
MANIFEST_FILE = "manifest.json"

_MIB = 1 << 20
_SIZE_CAPS = {MANIFEST_FILE: _MIB, MODEL_FILE: 512 * _MIB, GOLDEN_FILE: 64 * _MIB}
_OTHER_CAP = 512 * _MIB
_DOMAINS = {"", "ai.onnx", "com.microsoft"}
"""Operator sets that come with ONNX Runtime itself; anything else would be a custom operator's library."""


@dataclass(frozen=True, slots=True)
class Golden:
    """Windows [n, time, sensor] in engineering units, NaN = missing, and the probabilities [n, target] they gave."""

    windows: Float32Array
    probabilities: Float32Array


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle in memory."""

    path: Path
    manifest: Manifest
    model: bytes
    golden: Golden


def resolve(bundle: str | Path, released: Path = RELEASED) -> Path:
    """The folder meant by a setting: a folder, a released name, or `current`.

    Raises:
        UsageError: there is no such bundle; the message lists those there are.
    """
    text = str(bundle)
    if text == CURRENT:
        pointer = released / CURRENT
        if not pointer.is_file():
            raise UsageError(mismatch("the name of a bundle", "no file", str(pointer)) + "; run `make models`")
        text = manifests.check_bundle_name(pointer.read_text().strip())
    for folder in (released / text, Path(text)):
        if (folder / MANIFEST_FILE).is_file():
            return folder
    names = ", ".join(sorted(path.parent.name for path in released.glob(f"*/{MANIFEST_FILE}"))) or "none"
    raise UsageError(
        f"expected a bundle (a folder with {MANIFEST_FILE}, or one of: {names}), got `{bundle}` at model.bundle"
    )


def make_current(name: str, released: Path = RELEASED) -> None:
    """Point `current` at a released bundle, atomically."""
    manifests.check_bundle_name(name)
    if not (released / name / MANIFEST_FILE).is_file():
        raise UsageError(f"expected a released bundle, got `{name}` at {released}")
    write_whole(released / CURRENT, f"{name}\n".encode())


def read(bundle: str | Path) -> Bundle:
    """Read and verify a bundle.

    Raises:
        UsageError: no such bundle.
        ManifestError: manifest.json breaks the contract.
        BundleError: a file is missing, altered, oversized, or its graph is unsafe or not the manifest's.
    """
    folder = resolve(bundle)
    try:
        manifest = manifests.parse(_read_capped(folder / MANIFEST_FILE))
    except ManifestError as error:
        raise ManifestError(f"{error} in {folder / MANIFEST_FILE}") from None
    contents = {
        name: _read_verified(folder / name, digest)
        for name, digest in manifest.files.items()
        if name in {MODEL_FILE, GOLDEN_FILE} or (folder / name).exists()
    }
    check_graph(contents[MODEL_FILE], manifest, str(folder / MODEL_FILE))
    golden = _read_golden(contents[GOLDEN_FILE], manifest, folder / GOLDEN_FILE)
    return Bundle(folder, manifest, contents[MODEL_FILE], golden)


def read_file(bundle: Bundle, name: str) -> bytes:
    """A further file of a bundle (`weights.safetensors`, `training.json`), held to the checksum in its manifest.

    Raises:
        BundleError: the manifest knows no such file, or it is missing or altered.
    """
    digest = bundle.manifest.files.get(name)
    if digest is None:
        raise BundleError(mismatch(f"a checksum of `{name}`", "none", f"files of {bundle.path / MANIFEST_FILE}"))
    return _read_verified(bundle.path / name, digest)


def write(folder: Path, manifest: Manifest, model: bytes, golden: Golden, others: Mapping[str, bytes]) -> Bundle:
    """Write a bundle and read it back.

    The folder appears whole and on the disk, or not at all; one that exists is replaced. `manifest.files` is filled in
    here.

    Args:
        folder: where; its last part should be the manifest's name.
        manifest: all of it but `files`.
        model: the ONNX graph, self-contained.
        golden: windows and the probabilities expected for them.
        others: further files by name (weights.safetensors, training.json), not needed for serving.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, windows=golden.windows, probabilities=golden.probabilities)
    contents = {MODEL_FILE: model, GOLDEN_FILE: buffer.getvalue(), **others}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    manifest = msgspec.structs.replace(manifest, files=digests)
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name, data in {**contents, MANIFEST_FILE: manifests.dump(manifest)}.items():
            write_whole(scratch / name, data)
        scratch.chmod(0o755)
        read(scratch)
        _replace(folder, scratch)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    return read(folder)


def _replace(folder: Path, scratch: Path) -> None:
    retired = scratch.with_name(scratch.name + ".old")
    if folder.exists():
        folder.rename(retired)
    scratch.rename(folder)
    sync_folder(folder.parent)
    shutil.rmtree(retired, ignore_errors=True)


def check_graph(model: bytes, manifest: Manifest, where: str) -> None:
    """Hold an ONNX graph to its manifest.

    Raises:
        BundleError: external data, foreign operators, another opset, other inputs or outputs.
    """
    try:
        proto = onnx.load_from_string(model)
    except DecodeError as error:
        raise BundleError(mismatch("an ONNX graph", f"other bytes ({error})", where)) from None
    if proto.functions or any(graph.sparse_initializer for graph in _graphs(proto.graph)):
        raise BundleError(mismatch("a plain graph", "local functions or sparse weights", where))
    for tensor in _tensors(proto.graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise BundleError(mismatch("weights inside the file", f"external data for `{tensor.name}`", where))
    for node in _nodes(proto.graph):
        if node.domain not in _DOMAINS:
            raise BundleError(mismatch("operators of ONNX Runtime", f"`{node.domain}.{node.op_type}`", where))
    opset = next((entry.version for entry in proto.opset_import if entry.domain in {"", "ai.onnx"}), None)
    if opset != manifest.opset:
        raise BundleError(mismatch(f"opset {manifest.opset}", opset, where))
    for kind, agreed, values in (
        ("inputs", manifest.inputs, proto.graph.input),
        ("outputs", manifest.outputs, proto.graph.output),
    ):
        expected = [(t.name, t.dtype, t.shape[1:]) for t in agreed]
        got = [_described(value) for value in values]
        if got != expected:
            raise BundleError(mismatch(f"{kind} {expected}", got, where))


def _described(value: onnx.ValueInfoProto) -> tuple[str, str, list[int | str]]:
    tensor = value.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name if tensor.elem_type else "unknown"
    return value.name, dtype, [dim.dim_value or dim.dim_param for dim in tensor.shape.dim][1:]


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _graphs(inner)


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for inner in _graphs(graph):
        yield from inner.node


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    for inner in _graphs(graph):
        yield from inner.initializer
        for node in inner.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield attribute.t
                yield from attribute.tensors
                if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
                    raise BundleError(mismatch("a plain graph", "sparse constants", node.name or node.op_type))


def _read_capped(path: Path) -> bytes:
    cap = _SIZE_CAPS.get(path.name, _OTHER_CAP)
    try:
        with path.open("rb") as file:
            data = file.read(cap + 1)
    except OSError as error:
        raise BundleError(mismatch("a readable file", error.strerror, str(path))) from None
    if len(data) > cap:
        raise BundleError(mismatch(f"at most {cap // _MIB} MiB", "more", str(path)))
    return data


def _read_verified(path: Path, digest: str) -> bytes:
    data = _read_capped(path)
    got = hashlib.sha256(data).hexdigest()
    if got != digest:
        raise BundleError(
            mismatch(f"sha256 {digest[:12]}…", f"{got[:12]}…", str(path)) + "; the file was altered, restore the bundle"
        )
    return data


def _read_golden(data: bytes, manifest: Manifest, path: Path) -> Golden:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            golden = Golden(np.asarray(arrays["windows"]), np.asarray(arrays["probabilities"]))
    except (KeyError, ValueError, TypeError, AttributeError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise BundleError(mismatch("arrays `windows` and `probabilities`", str(error), str(path))) from None
    count = len(golden.windows)
    for name, array, tail in (
        ("windows", golden.windows, (manifest.window.length, len(manifest.sensors))),
        ("probabilities", golden.probabilities, (len(manifest.targets),)),
    ):
        if count == 0 or array.shape != (count, *tail) or array.dtype != np.float32:
            expected = f"{name} float32 [n ≥ 1, {', '.join(map(str, tail))}]"
            raise BundleError(mismatch(expected, f"{array.dtype} {list(array.shape)}", str(path)))
    return golden
