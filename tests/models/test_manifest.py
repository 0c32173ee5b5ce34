"""manifest.json: what is agreed loads, what is not is named with expectation, reality and path."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from support.bundles import manifest

from models import manifest as manifests
from models.errors import ManifestError
from models.features import CASTING_SENSORS

SHA = "0" * 64


def plain() -> dict[str, Any]:
    files = {"model.onnx": SHA, "golden.npz": SHA}
    text = manifests.dump(msgspec.structs.replace(manifest(), files=files))
    result: dict[str, Any] = msgspec.json.decode(text)
    return result


def parse(data: dict[str, Any]) -> manifests.Manifest:
    return manifests.parse(msgspec.json.encode(data))


def test_round_trip_keeps_everything() -> None:
    data = plain()
    assert msgspec.to_builtins(parse(data)) == msgspec.to_builtins(parse(msgspec.to_builtins(parse(data))))
    assert parse(data).model == "test@1"


def test_unknown_fields_of_a_later_writer_are_ignored() -> None:
    assert parse({**plain(), "colour": "blue"}).name == "test"


BREAKS: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda m: m.update(schema_version=2), "expected schema version 1, got 2 at schema_version"),
    (lambda m: m.pop("sensors"), "object missing required field `sensors` at the top level"),
    (lambda m: m["window"].update(length="5"), "expected `int`, got `str` at window.length"),
    (lambda m: m["window"].update(length=0), "expected a whole number ≥ 1, got 0 at window.length"),
    (lambda m: m["window"].update(max_gap_ms=100), "expected at least the period, 500, got 100 at window.max_gap_ms"),
    (lambda m: m.update(mode="recurrent"), "expected mode `window`, got `recurrent`"),
    (
        lambda m: m["sensors"][1].update(name="mould_level_cm", unit="cm"),
        "expected sensor `mould_level_mm`, got `mould_level_cm` at sensors[1].name",
    ),
    (
        lambda m: m["sensors"][1].update(unit="cm"),
        "expected unit `mm` of `mould_level_mm`, got `cm` at sensors[1].unit",
    ),
    (lambda m: m["sensors"][1].update(m["sensors"][0]), "expected every sensor once"),
    (lambda m: m["sensors"][0].update(low=500.0), "expected low < high, got 500.0 and 400.0 at sensors[0]"),
    (
        lambda m: m["normalisation"].update(scale=[1.0]),
        "expected 2 numbers, one a sensor, got 1 at normalisation.scale",
    ),
    (
        lambda m: m["normalisation"].update(scale=[1.0, 0.0]),
        "expected a finite number > 0, got 0.0 at normalisation.sca",
    ),
    (
        lambda m: m["normalisation"].update(quantiles=[[0.0, 1.0], [0.0, 1.0]]),
        "expected 0 lists of numbers with `none`, one a sensor, got 2 at normalisation.quantiles",
    ),
    (
        lambda m: m["normalisation"].update(kind="quantile"),
        "expected 2 lists of numbers with `quantile`, one a sensor, got 0 at normalisation.quantiles",
    ),
    (
        lambda m: m["normalisation"].update(kind="quantile", quantiles=[[0.0, 1.0], [0.0, 1.0, 2.0]]),
        "expected as many numbers of each sensor, got lists of different lengths at normalisation.quantiles",
    ),
    (
        lambda m: m["normalisation"].update(kind="quantile", quantiles=[[0.0, 1.0], [2.0, 1.0]]),
        "expected 2 finite numbers or more, none below the one before, got [2.0, 1.0] at normalisation.quantiles[1]",
    ),
    (
        lambda m: m["normalisation"].update(kind="quantile", quantiles=[[0.0], [1.0]]),
        "expected 2 finite numbers or more, none below the one before, got [0.0] at normalisation.quantiles[0]",
    ),
    (lambda m: m["missing"].update(strategy="guess"), "at missing.strategy"),
    (lambda m: m["inputs"][0].update(name="x"), "expected `window`, got `x` at inputs[0].name"),
    (lambda m: m["inputs"][0].update(shape=["batch", 4, 2]), "expected shape ['batch', 5, 2], got ['batch', 4, 2]"),
    (lambda m: m["outputs"][0].update(dtype="float16"), "expected `float32`, got `float16` at outputs[0].dtype"),
    (lambda m: m["outputs"].clear(), "expected one tensor, got 0 at outputs"),
    (lambda m: m.update(alert={}), "expected a policy for each of ['sticker'], got policies for [] at alert"),
    (lambda m: m["alert"]["sticker"].update(close=0.9), "expected 0 < close ≤ open ≤ 1, got close 0.9, open 0.7"),
    (lambda m: m["alert"]["sticker"].update(on_delay_ms=-1), "got -1 at alert.sticker.on_delay_ms"),
    (lambda m: m["golden"].update(cpu_atol=1.0), "expected a tolerance in (0, 0.01], got 1.0 at golden.cpu_atol"),
    (lambda m: m["files"].pop("golden.npz"), "expected a checksum of `golden.npz`, got none at files"),
    (lambda m: m["files"].update({"../x": SHA}), "expected a plain file name, got `../x` at files"),
    (lambda m: m["files"].update({"model.onnx": "f00"}), "expected 64 hexadecimal digits, got `f00`"),
    (lambda m: m.update(name="current"), "expected a bundle name"),
    (lambda m: m.update(name="../../etc"), "expected a bundle name"),
]


@pytest.mark.parametrize(("break_it", "message"), BREAKS)
def test_broken_manifest_names_expectation_reality_and_path(
    break_it: Callable[[dict[str, Any]], Any], message: str
) -> None:
    data = plain()
    break_it(data)
    with pytest.raises(ManifestError) as caught:
        parse(data)
    assert message in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"null"])
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(ManifestError):
        manifests.parse(data)


def test_casting_sensors_are_twenty_and_keep_their_own_units() -> None:
    assert len(CASTING_SENSORS) == len({sensor.name for sensor in CASTING_SENSORS}) == 20
    assert all(sensor.low < sensor.high for sensor in CASTING_SENSORS)
