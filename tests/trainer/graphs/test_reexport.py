"""`trainer export`: the graph of a bundle built anew from its weights."""

import json
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from support.small_line import write_tampered

from models import bundle as bundles
from models.bundle import Golden
from models.runtime import Predictor
from trainer import cli
from trainer.datasets.dataset import Dataset
from trainer.datasets.writer import DatasetWriter
from trainer.errors import ExportError
from trainer.evaluation.evaluate import evaluate_bundle
from trainer.export import Exported, export_run
from trainer.reexport import reexport
from trainer.retrain import recipe_of
from trainer.sequence_dataset import fit_preprocessor
from trainer.train_sequence import TrainingRun


def run_cli(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["trainer", "export", *arguments])
    try:
        cli.main()
    except SystemExit as left:
        return int(left.code or 0)
    return 0


def test_the_graph_is_made_anew_and_all_else_stays(
    small_export: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = small_export.bundle
    # As another exporter might have written it: the same graph with a node that does nothing.
    idle = bundles.onnx.load_from_string(old.model)
    idle.graph.node.append(bundles.onnx.helper.make_node("Identity", [idle.graph.input[0].name], ["idle"]))
    others = {name: bundles.read_file(old, name) for name in ("weights.safetensors", "training.json")}
    wordy = bundles.write(tmp_path / "old", old.manifest, idle.SerializeToString(), old.golden, others)
    out = tmp_path / "anew"
    assert run_cli(monkeypatch, str(wordy.path), "--out", str(out), "--version", "2", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    made = bundles.read(out)
    assert made.model == old.model
    assert told["of"]["model_sha256"] == wordy.manifest.model_sha256
    assert told["model_sha256"] == made.manifest.model_sha256 == old.manifest.model_sha256
    assert list(told["parity"]) == ["1", "3", "64", "257"]
    assert max(told["parity"].values()) <= 1e-5
    assert (made.manifest.name, made.manifest.version) == ("anew", "2")
    for kept in ("alert", "metrics", "training", "architecture", "normalisation", "missing", "data_fingerprint"):
        assert getattr(made.manifest, kept) == getattr(wordy.manifest, kept), kept
    np.testing.assert_array_equal(made.golden.windows, old.golden.windows)
    np.testing.assert_array_equal(made.golden.probabilities, old.golden.probabilities)
    assert bundles.read_file(made, "weights.safetensors") == others["weights.safetensors"]
    record = json.loads(bundles.read_file(made, "training.json"))
    assert record["export"]["of"] == f"small@1, model {wordy.manifest.model_sha256}"
    assert record["export"]["of_commit"] == wordy.manifest.git_commit
    assert record["history"] == json.loads(others["training.json"])["history"]


def test_a_bundle_of_ranks_is_made_anew_from_its_manifest(
    small_run: TrainingRun, small_line: Dataset, tmp_path: Path
) -> None:
    run = replace(small_run, preprocessor=fit_preprocessor(small_line, normalization="quantile"))
    old = export_run(run, tmp_path / "ranks", name="ranks").bundle
    made = reexport(bundles.read(old.path), tmp_path / "again", name="again").bundle
    assert made.manifest.normalisation == old.manifest.normalisation
    assert made.manifest.normalisation.kind == "quantile"
    assert made.model == old.model


def test_thresholds_are_chosen_anew_for_other_settings_and_these_stay_with_the_recipe(
    small_export: Exported,
    small_line: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    old, data = small_export.bundle, ["--data", str(small_line.path)]
    target = old.manifest.targets[0]
    assert run_cli(monkeypatch, str(old.path), "--out", str(tmp_path / "same"), *data, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    same = bundles.read(tmp_path / "same")
    assert same.manifest.alert == old.manifest.alert
    assert same.manifest.metrics == old.manifest.metrics
    assert told["alert"] == {name: asdict(one) for name, one in same.manifest.alert.items()}
    sets = [f"alert.{target}.{change}" for change in ("false_per_strand_day=1e6", "off_delay_ms=7000")]
    arguments = [str(old.path), "--out", str(tmp_path / "new"), *data, "--set", sets[0], "--set", sets[1]]
    assert run_cli(monkeypatch, *arguments) == 0
    said = capsys.readouterr().out
    new = bundles.read(tmp_path / "new")
    assert new.model == old.model
    assert (old.manifest.alert[target].off_delay_ms, new.manifest.alert[target].off_delay_ms) == (30_000, 7000)
    assert f"{target}: opens at {new.manifest.alert[target].open:g} after" in said
    assert "false alerts a strand-day, 1e+06 allowed" in said
    before, after = (one.manifest.metrics["validation"] for one in (old, new))
    assert after["window"] == before["window"]
    assert after["event"][target]["caught"] >= before["event"][target]["caught"]
    assert new.manifest.training["alert_data"] == small_line.info.fingerprint
    kept, settings = (recipe_of(one).alert_settings(target) for one in (old, new))
    assert settings == replace(kept, false_per_strand_day=1e6, off_delay_ms=7000)


def test_on_another_line_the_scores_of_this_one_are_not_told(
    small_export: Exported, small_line: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = small_export.bundle
    other = rewritten(small_line, tmp_path / "other", with_events=True)
    assert run_cli(monkeypatch, str(old.path), "--out", str(tmp_path / "new"), "--data", str(other.path)) == 0
    new = bundles.read(tmp_path / "new")
    assert new.manifest.data_fingerprint == small_line.info.fingerprint
    assert new.manifest.training["alert_data"] == other.info.fingerprint != small_line.info.fingerprint
    assert list(new.manifest.metrics["validation"]) == ["event"]
    predictor = Predictor(new, device="cpu")
    assert evaluate_bundle(predictor, other, "validation").chosen_here
    assert not evaluate_bundle(predictor, other, "test").chosen_here
    assert not evaluate_bundle(predictor, small_line, "validation").chosen_here


def test_what_would_change_nothing_or_cannot_be_judged_is_refused(
    small_export: Exported,
    small_line: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    uneventful = rewritten(small_line, tmp_path / "quiet", with_events=False)
    tampered = write_tampered(small_line, tmp_path / "tampered")
    arguments = [str(small_export.bundle.path), "--out", str(tmp_path / "new"), "--data"]
    for data, change, code, said in (
        (small_line.path, ["--set", "alert.stiker.min_lead_s=9"], 2, "got `alert.stiker`"),
        (uneventful.path, [], 1, "expected an event of the validation split caught, got none for"),
        (tampered, [], 1, "expected"),
    ):
        assert run_cli(monkeypatch, *arguments, str(data), *change) == code
        assert said in capsys.readouterr().err
        assert not (tmp_path / "new").exists()


def rewritten(line: Dataset, path: Path, *, with_events: bool) -> Dataset:
    """The same sequences but for a value each, so that it is another line."""
    info = line.info
    with DatasetWriter(
        path, line=info.line, seed=info.seed, period_ms=info.period_ms, sensors=info.sensors, targets=info.targets
    ) as writer:
        for entry in line.sequences():
            sequence = line.load(entry.sequence_id)
            values = sequence.values.copy()
            values[0, 0] += 1
            events = line.events(entry.sequence_id) if with_events else ()
            writer.add(replace(sequence, values=values), events, entry.split)
    return Dataset.open(path)


def test_a_bundle_is_replaced_only_by_force_and_may_be_its_own_source(
    small_export: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(small_export.bundle.path, tmp_path / "small")
    assert run_cli(monkeypatch, str(copy), "--out", str(copy)) == 2
    assert "got a bundle at" in capsys.readouterr().err
    assert run_cli(monkeypatch, str(copy), "--out", str(copy), "--force") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"{copy}: small@1, model ")
    assert "within" in said[1]
    assert bundles.read(copy).model == small_export.bundle.model


def test_a_model_that_no_longer_answers_the_golden_windows_is_not_written(
    small_export: Exported, tmp_path: Path
) -> None:
    old = small_export.bundle
    off = replace(old, golden=Golden(old.golden.windows, old.golden.probabilities + np.float32(1e-4)))
    with pytest.raises(ExportError, match="golden probabilities within 1e-05"):
        reexport(off, tmp_path / "anew", name="anew")
    scaled = msgspec.structs.replace(old.manifest.normalisation, center=[0.0] * len(old.manifest.sensors))
    other = replace(old, manifest=msgspec.structs.replace(old.manifest, normalisation=scaled))
    with pytest.raises(ExportError, match="golden probabilities within 1e-05"):
        reexport(other, tmp_path / "anew", name="anew")
    assert not (tmp_path / "anew").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nowhere", "--out", "new"], 2, "expected a bundle"),
        (["bare", "--out", "new"], 1, "expected a checksum of `weights.safetensors`, got none"),
        (["bare", "--out", "full"], 2, "something else"),
        (["bare", "--out", "new", "--name", "current"], 2, "current"),
        (["bare", "--out", "/proc/new"], 1, "/proc/new"),
        (["bare", "--out", "new", "--set", "alert.sticker.min_lead_s=9"], 2, "expected --data with --set"),
        (["bare", "--out", "new", "--data", "full", "--set", "hidden_size=9"], 2, "expected alert.TARGET.FIELD=VALUE"),
        (["bare", "--out", "new", "--data", "full"], 2, "expected the recipe of small@1"),
        (["bare", "--out", "new", "--data", "full", "--name", "small"], 2, "expected another --version than 1"),
    ],
)
def test_mistakes_are_one_clear_line(
    arguments: list[str],
    code: int,
    said: str,
    small_export: Exported,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    old = small_export.bundle
    bundles.write(tmp_path / "bare", msgspec.structs.replace(old.manifest, files={}), old.model, old.golden, {})
    assert run_cli(monkeypatch, *arguments) == code
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "new").exists()
