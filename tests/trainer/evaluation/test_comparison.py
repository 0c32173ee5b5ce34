"""A whole comparison of real scorers on an imported plant: headline, tables, missing classes, the same bytes twice."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.told_comparison import compared, entrant, entrants
from support.told_plant import write_told_plant

from models.errors import ContractError, UsageError
from models.windows import Float32Array
from trainer.config import AlertSettings, TrainingConfig
from trainer.datasets.dataset import Dataset
from trainer.evaluation.comparison.entrants import Entrant, Made, common_targets
from trainer.evaluation.comparison.page import as_markdown
from trainer.evaluation.comparison.scores import SCORES
from trainer.evaluation.kept_traces import KeptTraces
from trainer.evaluation.traces import Scorer


class SideBySide:
    """Several scorers' probabilities, one after the other."""

    def __init__(self, scorers: Sequence[Scorer]) -> None:
        self._scorers = scorers
        self.window, self.sensors = scorers[0].window, scorers[0].sensors
        self.targets = [target for one in scorers for target in one.targets]

    def predict(self, windows: Float32Array) -> Float32Array:
        return np.concatenate([one.predict(windows) for one in self._scorers], axis=1)


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_told_plant(tmp_path_factory.mktemp("plant") / "data")


@pytest.fixture(scope="module")
def metrics(plant: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return compared(plant, tmp_path_factory.mktemp("traces"))


class TestComparison:
    def test_headline_is_the_validation_s_best_against_both_baselines(self, metrics: dict[str, Any]) -> None:
        said = metrics["chosen"]["validation_roc_auc"]
        assert metrics["chosen"]["recipe"] == max(said, key=lambda name: said[name]["mean"]) == "long"
        headline = metrics["comparison"]["roc_auc"]
        seeds = metrics["seeds"]
        assert headline["sequence"] == seeds["long"]["roc_auc"]["mean"]
        assert headline["baseline"] == seeds["summary"]["roc_auc"]["mean"]
        assert headline["engineered"] == seeds["engineered"]["roc_auc"]["mean"]
        assert headline["improvement"] == pytest.approx(headline["sequence"] - headline["baseline"], abs=1e-5)
        low, high = headline["interval"]
        assert 0 < low < headline["improvement"] < high
        assert metrics["recipes"]["long"] == metrics["comparison"]
        assert metrics["recipes"]["short"]["roc_auc"]["improvement"] < headline["improvement"]
        assert set(metrics["comparison"]) == set(SCORES)

    def test_a_target_without_positives_on_test_is_none_and_in_no_mean(self, metrics: dict[str, Any]) -> None:
        fire = metrics["targets"]["fire"]
        assert fire["comparison"]["roc_auc"] == dict.fromkeys(fire["comparison"]["roc_auc"])
        assert fire["comparison"]["brier"]["sequence"] is not None
        assert metrics["comparison"]["roc_auc"] == metrics["targets"]["leak"]["comparison"]["roc_auc"]
        assert metrics["events"]["fire"]["long"]["recall"] is None
        assert metrics["data"]["splits"]["test"]["targets"]["fire"]["positive"] == 0

    def test_events_are_caught_and_false_alerts_charged_to_the_look_alike(self, metrics: dict[str, Any]) -> None:
        leak = metrics["events"]["leak"]
        long = leak["long"]
        assert long["events"] == 6
        assert long["recall"] == pytest.approx(sum(long["recall_by_seed"]) / 2)
        assert long["recall"] > 0.9
        assert long["by_type"]["leak"]["events"] == long["by_difficulty"]["summary"]["events"] == 6
        assert long["by_type"]["leak"]["recall"] == pytest.approx(long["recall"], abs=1e-4)
        assert 10 < long["lead_p10_s"] <= long["lead_median_s"] < 40
        assert long["false_by_look_alike"]["hatch"]["happened"] == 6
        for one in leak.values():
            alerts = sum(kind["alerts"] for kind in one["false_by_look_alike"].values())
            assert alerts == pytest.approx(one["false"]["alerts"])
            low, high = one["false"]["per_strand_day_95"]
            assert low <= one["false"]["per_strand_day"] <= high
        assert sum(one["false"]["alerts"] for one in leak.values()) > 0

    def test_defects_and_look_alikes_stand_side_by_side(self, metrics: dict[str, Any]) -> None:
        leak = metrics["targets"]["leak"]
        aucs = leak["by_type"]["leak"]["roc_auc"]
        assert set(aucs) == {"short", "long", "summary", "engineered"}
        for name, auc in aucs.items():  # the one type there is: all of the target
            assert auc == pytest.approx(leak["contestants"][name]["roc_auc"]["mean"], abs=2e-5)
            assert leak["against_look_alike"]["hatch"]["roc_auc"][name] < auc
        assert "comparison" not in leak["against_look_alike"]["hatch"]
        told, whole = leak["by_type"]["leak"]["comparison"], leak["comparison"]["roc_auc"]
        for ours, theirs in ((told["interval"], whole["interval"]), (told["improvement"], whole["improvement"])):
            assert ours == pytest.approx(theirs, abs=1e-4)
        assert metrics["targets"]["fire"]["against_look_alike"] == {}

    def test_calibration_is_told_before_and_after(self, metrics: dict[str, Any]) -> None:
        long = metrics["calibration"]["leak"]["long"]
        assert long["ece_calibrated"]["mean"] < long["ece"]["mean"]
        counted = metrics["data"]["splits"]["test"]["targets"]["leak"]
        for rows in long["reliability"].values():
            assert sum(row["windows"] for row in rows) == 2 * (counted["positive"] + counted["negative"])

    def test_twice_the_same_bytes_and_what_was_interrupted_goes_on(
        self, plant: Dataset, metrics: dict[str, Any], tmp_path: Path
    ) -> None:
        asked: list[str] = []

        def breaks(seed: int) -> Made:
            if seed == 1:
                raise KeyboardInterrupt
            return entrants()[1].make(seed)

        first = entrant("short", "sequence", 3, asked)
        with pytest.raises(KeyboardInterrupt):
            compared(plant, tmp_path, [first, Entrant("long", "sequence", breaks), *entrants()[2:]])
        kept = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
        assert "short-1-test.npz" in kept
        again = compared(plant, tmp_path, [first, *entrants()[1:]])
        assert json.dumps(again, allow_nan=False) == json.dumps(metrics, allow_nan=False)
        assert kept.items() <= {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}.items()

    def test_what_is_asked_together_answers_as_each_alone(
        self, plant: Dataset, metrics: dict[str, Any], tmp_path: Path
    ) -> None:
        asked: list[int] = []

        def together(scorers: Sequence[Scorer]) -> Scorer:
            asked.append(len(scorers))
            return SideBySide(scorers)

        *networks, summary, engineered = entrants()
        shared = [replace(one, together=together) for one in (summary, engineered)]
        compared(plant, tmp_path, [*networks, shared[0], engineered])
        (tmp_path / "summary-1-test.npz").unlink()
        again = compared(plant, tmp_path, [*networks, *shared])
        assert json.dumps(again) == json.dumps(metrics)
        assert asked == [2, 2, 1]  # both seeds on both splits, then what was deleted; the others are kept

    def test_page_names_what_it_shows_and_what_cannot_be_told(self, metrics: dict[str, Any]) -> None:
        page = as_markdown(metrics)
        assert page.startswith(f"# Sequence models against baselines\n\n**{metrics['caveat']}**")
        assert "The sequence model is `long`, chosen by the mean over seeds of the validation ROC-AUC" in page
        headline = metrics["comparison"]["roc_auc"]
        assert f"| {headline['improvement']:+.4f} [{headline['interval'][0]:+.4f}" in page
        assert "### Where a sequence of scans tells more than statistics" in page
        for row in ("| hatch | 6 |", "| leak | 6 |", "| events caught | "):
            assert row in page
        assert "nan" not in page
        assert "None" not in page


class TestRefusals:
    def test_answers_of_other_windows_are_refused(self, plant: Dataset, tmp_path: Path) -> None:
        kept = KeptTraces(tmp_path)
        compared(plant, tmp_path, entrants()[:1])
        for seed in (0, 1):
            found = kept.read(f"short-{seed}", "test")
            assert found is not None
            kept.write(f"long-{seed}", "test", found[1:])
        with pytest.raises(ContractError, match=r"expected \d+ windows, got \d+, or others at long, split `test`"):
            compared(plant, tmp_path, entrants()[:2])

    def test_recipes_that_answer_other_windows_are_refused(
        self, small_line: Dataset, small_config: TrainingConfig
    ) -> None:
        assert common_targets(small_line, {"a": small_config, "b": replace(small_config, seed=9)}) == ["sticker"]
        for other, what in (
            (replace(small_config, window_length=12), "windows as in a"),
            (replace(small_config, alert={"sticker": AlertSettings()}), "alert.sticker as in a"),
        ):
            with pytest.raises(UsageError, match=what):
                common_targets(small_line, {"a": small_config, "b": other})
