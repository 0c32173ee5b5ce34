"""manifest.json: everything the worker must know about a model besides its weights.

The types below are the schema; `parse` checks what types cannot say (lengths that must agree, thresholds
in order, safe file names). New fields get defaults, unknown fields are ignored: a manifest of a later
writer with the same `schema_version` still loads.
"""

import math
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from models.alerting import AlertPolicy
from models.errors import ManifestError, mismatch
from models.features import Sensor, check_units
from models.windows import WindowRules

SCHEMA_VERSION = 1
MODEL_FILE = "model.onnx"
GOLDEN_FILE = "golden.npz"
INPUT_NAME = "window"
OUTPUT_NAME = "probability"
LOOSEST_ATOL = 0.01
"""A golden tolerance above this proves nothing."""
_FEWEST_QUANTILES = 2

Positive = Annotated[int, Meta(ge=1)]
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_RESERVED_NAMES = {"current", "evaluation"}


class Tensor(msgspec.Struct, frozen=True):
    """One input or output of the graph; a dimension is a number, or a name if it varies."""

    name: str
    dtype: str
    shape: list[int | str]


class Normalisation(msgspec.Struct, frozen=True):
    """What the graph does to a value first: ``clip((value - center) / scale, ±clip)``, per sensor.

    Of `quantile` instead the value's rank among `quantiles`, per sensor engineering units evenly spaced in rank between
    the tails; only what lies beyond them is counted in scales, `center` has no part in it: see
    `trainer.quantile_transform`. For the reader and for retraining; the graph carries it out.
    """

    kind: Literal["zscore", "robust", "minmax", "quantile", "none"]
    center: list[float]
    scale: list[float]
    clip: float | None = None
    quantiles: list[list[float]] = []


class Missing(msgspec.Struct, frozen=True):
    """What the graph does to a missing value; `fill` (engineering units) is for one that the strategy leaves missing.

    `trainer.preprocess` defines the strategies; of `mean` and `zero`, `fill` is all there is.
    """

    strategy: Literal["forward_fill", "mean", "zero", "interpolate"]
    fill: list[float]


class Golden(msgspec.Struct, frozen=True):
    """How far a provider's answer to the golden windows may lie from the recorded one, absolute."""

    cpu_atol: float = 1e-5
    cuda_atol: float = 1e-3


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle's manifest; `sensors` are in the order of the graph's input, `targets` in that of its output."""

    schema_version: int
    name: str
    version: str
    created: str
    git_commit: str
    sensors: list[Sensor]
    window: WindowRules
    normalisation: Normalisation
    missing: Missing
    inputs: list[Tensor]
    outputs: list[Tensor]
    opset: Positive
    alert: dict[str, AlertPolicy]
    files: dict[str, str]
    mode: Literal["window", "recurrent"] = "window"
    targets: list[str] = msgspec.field(default_factory=lambda: ["defect"])
    golden: Golden = Golden()
    architecture: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    training: dict[str, Any] = {}
    data_fingerprint: str | None = None

    @property
    def model(self) -> str:
        """How predictions and alerts name this model: ``name@version``."""
        return f"{self.name}@{self.version}"

    @property
    def sensor_names(self) -> list[str]:
        """The sensors' names in the order of the graph's input."""
        return [sensor.name for sensor in self.sensors]

    @property
    def model_sha256(self) -> str:
        """The first twelve digits of the sha256 of model.onnx, as messages carry it."""
        return self.files[MODEL_FILE][:12]


def dump(manifest: Manifest) -> bytes:
    """The manifest as indented JSON; checks it first, so that nothing is written that would not load."""
    check(manifest)
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def parse(data: bytes) -> Manifest:
    """Read and check a manifest.

    Raises:
        ManifestError: names expectation, reality and path, such as
            ``expected sensor `mould_level_mm`, got `mould_level_cm` at sensors[0].name``.
    """
    try:
        version = msgspec.json.decode(data, type=dict[str, Any]).get("schema_version")
        if version != SCHEMA_VERSION:
            raise ManifestError(mismatch(f"schema version {SCHEMA_VERSION}", version, "schema_version"))
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.ValidationError as error:
        raise ManifestError(_in_our_words(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ManifestError(mismatch("JSON", f"something else ({error})", "manifest.json")) from None
    check(manifest)
    return manifest


def check(manifest: Manifest) -> None:
    """Check what types cannot say.

    Raises:
        ManifestError: the first thing that is wrong.
    """
    for problem in _problems(manifest):
        raise ManifestError(problem)
    check_units(manifest.sensors)


def check_bundle_name(name: str) -> str:
    """A bundle's name: letters, digits, dot, dash, underscore; not a reserved one."""
    if not _NAME.fullmatch(name) or name in _RESERVED_NAMES:
        raise ManifestError(
            mismatch("a bundle name (letters, digits, `._-`; not `current` or `evaluation`)", f"`{name}`", "name")
        )
    return name


def _problems(manifest: Manifest) -> Iterator[str]:
    check_bundle_name(manifest.name)
    if manifest.mode != "window":
        yield mismatch("mode `window`", f"`{manifest.mode}` (reserved, not served by this version)", "mode")
    yield from _sensor_problems(manifest)
    yield from _window_problems(manifest.window)
    yield from _tensor_problems(manifest)
    yield from _alert_problems(manifest)
    yield from _file_problems(manifest.files)
    for field in ("cpu_atol", "cuda_atol"):
        tolerance = getattr(manifest.golden, field)
        if not 0 < tolerance <= LOOSEST_ATOL:
            yield mismatch(f"a tolerance in (0, {LOOSEST_ATOL}]", tolerance, f"golden.{field}")


def _sensor_problems(manifest: Manifest) -> Iterator[str]:
    names = manifest.sensor_names
    if not names:
        yield mismatch("at least one sensor", "none", "sensors")
    for index, sensor in enumerate(manifest.sensors):
        if sensor.name in names[:index]:
            yield mismatch("every sensor once", f"`{sensor.name}` again", f"sensors[{index}].name")
        if not sensor.low < sensor.high:
            yield mismatch("low < high", f"{sensor.low} and {sensor.high}", f"sensors[{index}]")
    yield from _quantile_problems(manifest)
    for path, numbers in (
        ("normalisation.center", manifest.normalisation.center),
        ("normalisation.scale", manifest.normalisation.scale),
        ("missing.fill", manifest.missing.fill),
    ):
        if len(numbers) != len(names):
            yield mismatch(f"{len(names)} numbers, one a sensor", len(numbers), path)
        for index, number in enumerate(numbers):
            if not math.isfinite(number) or (path.endswith("scale") and number <= 0):
                yield mismatch(
                    "a finite number" + (" > 0" if path.endswith("scale") else ""), number, f"{path}[{index}]"
                )


def _quantile_problems(manifest: Manifest) -> Iterator[str]:
    told, path = manifest.normalisation, "normalisation.quantiles"
    wanted = len(manifest.sensors) if told.kind == "quantile" else 0
    if len(told.quantiles) != wanted:
        yield mismatch(f"{wanted} lists of numbers with `{told.kind}`, one a sensor", len(told.quantiles), path)
    if len({len(row) for row in told.quantiles}) > 1:
        yield mismatch("as many numbers of each sensor", "lists of different lengths", path)
    for index, row in enumerate(told.quantiles):
        rising = all(low <= high for low, high in pairwise(row))
        if len(row) < _FEWEST_QUANTILES or not rising or not all(map(math.isfinite, row)):
            yield mismatch(
                f"{_FEWEST_QUANTILES} finite numbers or more, none below the one before", row, f"{path}[{index}]"
            )


def _window_problems(rules: WindowRules) -> Iterator[str]:
    for field in ("length", "period_ms", "stride", "max_gap_ms"):
        if getattr(rules, field) < 1:
            yield mismatch("a whole number ≥ 1", getattr(rules, field), f"window.{field}")
    if rules.max_gap_ms < rules.period_ms:
        yield mismatch(f"at least the period, {rules.period_ms}", rules.max_gap_ms, "window.max_gap_ms")


def _tensor_problems(manifest: Manifest) -> Iterator[str]:
    shapes = {
        "inputs": (INPUT_NAME, manifest.inputs, [manifest.window.length, len(manifest.sensors)]),
        "outputs": (OUTPUT_NAME, manifest.outputs, [len(manifest.targets)]),
    }
    for path, (name, tensors, tail) in shapes.items():
        if len(tensors) != 1:
            yield mismatch("one tensor", len(tensors), path)
            continue
        tensor = tensors[0]
        if tensor.name != name:
            yield mismatch(f"`{name}`", f"`{tensor.name}`", f"{path}[0].name")
        if tensor.dtype != "float32":
            yield mismatch("`float32`", f"`{tensor.dtype}`", f"{path}[0].dtype")
        if tensor.shape[1:] != tail or not tensor.shape or not isinstance(tensor.shape[0], str):
            yield mismatch(f"shape {['batch', *tail]}", tensor.shape, f"{path}[0].shape")


def _alert_problems(manifest: Manifest) -> Iterator[str]:
    if not manifest.targets or len(set(manifest.targets)) != len(manifest.targets):
        yield mismatch("different targets, at least one", manifest.targets, "targets")
    if set(manifest.alert) != set(manifest.targets):
        yield mismatch(f"a policy for each of {manifest.targets}", f"policies for {list(manifest.alert)}", "alert")
    for target, policy in manifest.alert.items():
        if not 0 < policy.close <= policy.open <= 1:
            yield mismatch("0 < close ≤ open ≤ 1", f"close {policy.close}, open {policy.open}", f"alert.{target}")
        for field in ("on_delay_ms", "off_delay_ms", "cooldown_ms"):
            if getattr(policy, field) < 0:
                yield mismatch("a time ≥ 0", getattr(policy, field), f"alert.{target}.{field}")


def _file_problems(files: dict[str, str]) -> Iterator[str]:
    for needed in (MODEL_FILE, GOLDEN_FILE):
        if needed not in files:
            yield mismatch(f"a checksum of `{needed}`", "none", "files")
    for name, digest in files.items():
        if not _NAME.fullmatch(name):
            yield mismatch("a plain file name", f"`{name}`", "files")
        if not _SHA256.fullmatch(digest):
            yield mismatch("64 hexadecimal digits", f"`{digest}`", f"files.{name}")


def _in_our_words(validation_error: str) -> str:
    """``Expected `int`, got `str` - at `$.window.length``` as ``expected `int`, got `str` at window.length``."""
    what, _, where = validation_error.partition(" - at ")
    path = where.strip("`").removeprefix("$").removeprefix(".") or "the top level"
    return f"{what[:1].lower()}{what[1:]} at {path}"
