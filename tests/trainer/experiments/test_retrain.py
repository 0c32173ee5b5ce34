"""`trainer retrain` on a dataset's folder: recipe, judgement, what becomes current and what does not."""

import json
import shutil
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from support.bundles import write_bundle

from models import bundle as bundles
from models.errors import UsageError
from models.features import Sensor
from models.runtime import Predictor
from trainer import cli
from trainer.config import TrainingConfig
from trainer.datasets.dataset import Dataset
from trainer.datasets.writer import DatasetWriter
from trainer.evaluation.evaluate import evaluate_bundle
from trainer.export import Exported
from trainer.retrain import Retrained, check_data, evidence_notes, next_name, next_version, promote, recipe_of

NOW = datetime(2026, 11, 25, 6, 30, tzinfo=UTC)


@pytest.fixture
def models(small_export: Exported, tmp_path: Path) -> Path:
    """A folder of released bundles of its own, the small one current."""
    folder = tmp_path / "models"
    shutil.copytree(small_export.bundle.path, folder / "small")
    bundles.make_current("small", folder)
    return folder


def run(monkeypatch: pytest.MonkeyPatch, models: Path, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["trainer", "retrain", "--models", str(models), *map(str, arguments)])
    try:
        cli.main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def test_the_recipe_is_the_bundles_whole_configuration(small_export: Exported, small_config: TrainingConfig):
    assert recipe_of(small_export.bundle) == replace(small_config, targets=["sticker"])


def test_a_bundle_without_its_recipe_cannot_be_retrained(tmp_path: Path):
    bundle = bundles.read(write_bundle(tmp_path / "test"))
    with pytest.raises(UsageError, match=r"expected the recipe of test@1, got no file at .*training.json"):
        recipe_of(bundle)


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("casting-lstm", "1", ("casting-lstm-20261125T063000Z", "2")),
        ("casting-lstm-20260101T000000Z", "9", ("casting-lstm-20261125T063000Z", "10")),
        ("mine", "2.1", ("mine-20261125T063000Z", "20261125T063000Z")),
    ],
)
def test_a_new_bundle_has_a_name_and_a_version_of_its_own(name: str, version: str, expected: tuple[str, str]):
    assert (next_name(name, NOW), next_version(version, NOW)) == expected


def test_data_of_other_sensors_targets_or_period_are_refused(
    small_line: Dataset, small_export: Exported, tmp_path: Path
):
    info, manifest = small_line.info, small_export.bundle.manifest
    sequence = small_line.load(small_line.sequences()[0].sequence_id)

    def written(name: str, sensors: tuple[Sensor, ...] = info.sensors, period_ms: int = 500, target: str = "sticker"):
        count = len(sensors)
        values = sequence.values[:, [index % len(info.sensors) for index in range(count)]]
        with DatasetWriter(
            tmp_path / name, line="x", seed=1, period_ms=period_ms, sensors=sensors, targets=[target]
        ) as writer:
            writer.add(replace(sequence, values=values))
        return Dataset.open(tmp_path / name)

    check_data(manifest, written("same"))
    for name, dataset, message in (
        ("fewer", written("fewer", sensors=info.sensors[:-1]), "expected sensor strand_surface_temp_c"),
        ("more", written("more", sensors=(*info.sensors, Sensor("x_k", "K", 0, 1))), "got also x_k at"),
        ("period", written("period", period_ms=1000), "expected a scan period of 500 ms, got 1000 ms at"),
        ("target", written("target", target="quality"), "expected target `sticker` of small@1"),
    ):
        with pytest.raises(UsageError, match=message) as refused:
            check_data(manifest, dataset)
        assert str(tmp_path / name) in str(refused.value)


def test_a_worse_bundle_is_written_but_not_made_current(
    models: Path, small_line: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    useless = ("--set", "learning_rate=1e-9", "--set", "num_epochs=1", "--set", "seed=8")
    out = models / "worse"
    assert run(monkeypatch, models, "--data", small_line.path, "--out", out, "--min-events", 2, *useless) == 1
    told = capsys.readouterr()
    assert told.err.splitlines()[-1].startswith("error: expected a bundle not worse than small@1, got sticker: ")
    assert told.err.endswith(f" at {out}: it is not made current\n")
    assert "Traceback" not in told.err
    assert max(map(len, (line for line in told.out.splitlines() if line.startswith("  ")))) <= 80
    assert "sticker: not passed" in told.out
    assert "note: small@1 was trained on this very dataset" in told.out
    assert bundles.read(out).manifest.model == "worse@2"
    assert bundles.read(out).manifest.training["recipe"] == "bundle small@1"
    assert (models / "current").read_text() == "small\n"


def test_too_few_held_out_events_end_it_before_training(
    models: Path, small_line: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert run(monkeypatch, models, "--data", small_line.path, "--out", models / "new", "--json") == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "error: sticker: 2 held-out events, at least 5 needed to judge by at" in told.err
    assert "nothing was trained" in told.err
    assert sorted(path.name for path in models.iterdir()) == ["current", "small"]


def test_an_equal_bundle_outside_the_released_ones_is_not_made_current(
    models: Path,
    small_line: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    place = ("--data", small_line.path, "--out", tmp_path / "elsewhere", "--min-events", 1, "--json")
    assert run(monkeypatch, models, *place) == 0
    result = json.loads(capsys.readouterr().out)
    # The same recipe on the same data: the same weights, and so the same scores.
    assert result["new"]["targets"] == result["current"]["targets"]
    assert result["passed"] is True
    assert result["promoted"] is False
    assert result["not_promoted_because"] == f"only a bundle in {models} can be current"
    assert (models / "current").read_text() == "small\n"


def test_held_out_sequences_that_current_was_trained_on_are_told(
    models: Path, small_line: Dataset, small_export: Exported, tmp_path: Path
):
    """The same scans under other splits and another seed of them: another fingerprint, nothing new."""
    info, later = small_line.info, tmp_path / "later"
    line = "import/kafka"
    with DatasetWriter(
        later, line=line, seed=9, period_ms=info.period_ms, sensors=info.sensors, targets=info.targets
    ) as writer:
        for entry in small_line.sequences():
            split = {"train": "test", "test": "train"}.get(entry.split, entry.split)
            writer.add(small_line.load(entry.sequence_id), small_line.events(entry.sequence_id), split)
    scores = evaluate_bundle(Predictor(small_export.bundle), Dataset.open(later))
    told = small_export.bundle.manifest.training
    assert set(told["strands"]) == {entry.strand_id for entry in small_line.sequences() if entry.split != "test"}

    def notes(**changes: object) -> list[str]:
        manifest = msgspec.structs.replace(scores.manifest, training={**told, **changes})
        return evidence_notes(Retrained(small_export, replace(scores, manifest=manifest), scores, {}))

    assert [note for note in notes(line=line) if "lie in a time that small@1 was trained on" in note]
    before = {strand: [0, 1] for strand in told["strands"]}
    for quiet in (notes(), notes(line=line, strands=before), notes(line=line, strands={})):
        assert not [note for note in quiet if "lie in a time" in note]


def test_what_was_not_judged_against_current_is_not_made_current(
    models: Path, small_line: Dataset, small_export: Exported, tmp_path: Path
):
    other = bundles.read(write_bundle(tmp_path / "test"))
    scores = evaluate_bundle(Predictor(small_export.bundle), small_line)
    shutil.copytree(models / "small", models / "next")
    manifest = msgspec.structs.replace(small_export.bundle.manifest, name="next")
    new = replace(small_export, bundle=replace(small_export.bundle, path=models / "next", manifest=manifest))
    retrained = Retrained(new, scores, scores, {})
    assert promote(retrained, other, models) == "it was judged against test@1, and current is small"
    assert (models / "current").read_text() == "small\n"
    assert promote(retrained, bundles.read(models / "small"), models) == ""
    assert (models / "current").read_text() == "next\n"


def test_rolling_back_makes_a_whole_released_bundle_current(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    write_bundle(models / "test")
    assert run(monkeypatch, models, "--rollback-to", "test") == 0
    assert capsys.readouterr().out == "test is current, it was small\n"
    (models / "small" / "model.onnx").write_bytes(b"")
    assert run(monkeypatch, models, "--rollback-to", "small") == 1
    assert "the file was altered" in capsys.readouterr().err
    assert run(monkeypatch, models, "--rollback-to", "nowhere") == 2
    assert (models / "current").read_text() == "test\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "error: expected --data DIR, got none"),
        (("--data", "x", "--from", "2026-11-01"), "error: expected no --from here, got one: without --bootstrap"),
        (("--data", "x", "--topic", "casting.sensors"), "error: expected no --topic here, got one: without --boots"),
        (("--rollback-to", "small", "--data", "x"), "error: expected no --data here, got one: --rollback-to trains"),
        (("--data", "x", "--bootstrap", "localhost:1"), "error: expected --from TIME with --bootstrap, got none"),
        (("--data", "x", "--bootstrap", "y:1", "--from", "1"), "error: expected --events FILE with --bootstrap"),
        (
            ("--data", "x", "--bootstrap", "y:1", "--from", "2", "--to", "1", "--events", "e.csv"),
            "error: expected --to after --from, got 2 and 1",
        ),
        (
            ("--data", "x", "--bootstrap", "y:1", "--from", "June", "--events", "e.csv"),
            "error: expected a time as 2026-11-25T06:00:00Z or in milliseconds since 1970, got `June` at --from",
        ),
        (("--data", "x", "--set", "depth=3"), "error: expected one of model_type"),
        (("--data", "x", "--bundle", "nobody"), "error: expected a bundle"),
    ],
)
def test_wrong_usage_is_told_in_one_line_before_anything_is_read(
    arguments: tuple[str, ...],
    expected: str,
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, models, *arguments) == 2
    told = capsys.readouterr()
    assert told.err.startswith(expected)
    assert told.err.count("\n") == 1
    assert sorted(path.name for path in models.iterdir()) == ["current", "small"]


def test_what_is_there_is_never_written_over(
    models: Path, small_line: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert run(monkeypatch, models, "--data", small_line.path, "--out", models / "small") == 2
    assert "expected a new or empty folder" in capsys.readouterr().err
