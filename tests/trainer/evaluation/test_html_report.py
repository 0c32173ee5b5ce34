"""The HTML report on real evaluations: whole, offline, the numbers of the JSON, the same bytes twice, odd data too."""

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from support import bundles as test_bundles
from support.command_line import run_trainer
from support.html_page import HtmlPage
from support.told_comparison import QUIET
from support.told_plant import RULES, SENSORS, event, sequence, write_told_plant

from models import bundle as bundles
from models.alerting import AlertPolicy
from models.errors import ContractError
from models.features import Sensor
from models.runtime import Predictor
from models.windows import Float32Array, WindowRules
from trainer.config import AlertSettings
from trainer.datasets.dataset import Dataset
from trainer.datasets.describe import describe
from trainer.datasets.writer import DatasetWriter
from trainer.evaluation.comparison.compare import compare
from trainer.evaluation.comparison.entrants import Entrant, Made
from trainer.evaluation.comparison.run import write_comparison
from trainer.evaluation.evaluate import evaluate_bundle
from trainer.evaluation.html_report.about import not_shown
from trainer.evaluation.html_report.beside import read_beside
from trainer.evaluation.html_report.page import write_html
from trainer.evaluation.kept_traces import KeptTraces
from trainer.evaluation.temporal import temporal_patterns
from trainer.evaluation.traces import Scope
from trainer.experiments.ablation_results import AblationResult, ChangeResult, Difference
from trainer.export import Exported
from trainer.profiling.page import write_page
from trainer.profiling.profile import profile_bundle

OWN = ["answer", "kinds", "leads", "time", "caught", "misses", "alarms", "confusion", "curves", "calibration"]
AROUND = ["data", "limits", "made"]


class WarmScorer:
    """A real scorer of one number: the mean of the upper left thermocouple, above 150 °C."""

    def __init__(self, window: WindowRules, sensors: list[Sensor]) -> None:
        self.window, self.sensors, self.targets = window, sensors, ["sticker"]
        self._column = [sensor.name for sensor in sensors].index("mould_tc_upper_left_c")

    def predict(self, windows: Float32Array) -> Float32Array:
        logit = np.nanmean(windows[:, :, self._column], axis=1, keepdims=True) - 150
        said: Float32Array = (1 / (1 + np.exp(-logit / 10))).astype(np.float32)
        return said


@pytest.fixture(scope="module")
def beside(small_line: Dataset, small_export: Exported, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """metrics.json, explain.json and profile.json of the small line and bundle, as the commands write them."""
    folder = tmp_path_factory.mktemp("beside")
    predictor = Predictor(small_export.bundle, device="cpu")
    warm = WarmScorer(predictor.window, list(predictor.sensors))
    entrants = [
        Entrant("small", "sequence", lambda _: Made("small", predictor)),
        Entrant("summary", "baseline", lambda _: Made("warm", warm)),
    ]
    settings = {"sticker": AlertSettings(2000, 30_000, 60_000, "critical")}
    kept = KeptTraces(folder / "traces")
    metrics = compare(
        small_line, entrants, targets=["sticker"], seeds=1, settings=settings, kept=kept, watch=QUIET, replicates=100
    )
    write_comparison(metrics, folder)
    asked = ["--data", str(small_line.path), "--bundle", str(small_export.bundle.path), "--windows", "4"]
    assert run_trainer("explain", *asked, "--out", str(folder)) == 0
    write_page(profile_bundle(small_export.bundle, batches=(1, 2), rounds=1, seconds=0.001, memory=False), folder)
    return folder


@pytest.fixture(scope="module")
def written(
    small_line: Dataset, small_export: Exported, beside: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a report by the command line."""
    folder = tmp_path_factory.mktemp("report")
    asked = ["--data", str(small_line.path), "--bundle", str(small_export.bundle.path), "--with", str(beside)]
    assert run_trainer("evaluate", *asked, "--out", str(folder)) == 0
    return folder


@pytest.fixture(scope="module")
def page(written: Path) -> HtmlPage:
    return HtmlPage((written / "test.html").read_text(encoding="utf-8"))


def write_report(
    bundle: bundles.Bundle, dataset: Dataset, folder: Path, *, split: Scope = "test", beside: Path | None = None
) -> Path:
    """A page, not by the command line."""
    predictor = Predictor(bundle)
    evaluation = evaluate_bundle(predictor, dataset, split)
    patterns = temporal_patterns(predictor, dataset, split, name=bundle.manifest.model, traces=evaluation.traces)
    facts = replace(describe(dataset), verified=True)
    return write_html(evaluation, bundle, facts, read_beside([beside or folder], evaluation), patterns, folder)


def report(bundle: bundles.Bundle, dataset: Dataset, folder: Path, split: Scope = "test") -> HtmlPage:
    """The page of a bundle's evaluation, parsed."""
    return checked(write_report(bundle, dataset, folder, split=split).read_text(encoding="utf-8"))


def checked(html: str) -> HtmlPage:
    """A page that is whole, fetches nothing and runs nothing."""
    found = HtmlPage(html)
    assert not set(found.tags) & {"script", "link", "iframe", "img", "object", "embed", "base", "form"}
    assert all(reference.startswith(("#", "data:image/png;base64,")) for reference in found.references)
    assert "://" not in html
    assert "@import" not in html
    assert len(found.ids) == len(set(found.ids))
    assert {one[1:] for one in found.references if one.startswith("#")} <= set(found.ids)
    return found


class TestPage:
    def test_stands_alone_and_has_every_section(self, written: Path, page: HtmlPage) -> None:
        checked((written / "test.html").read_text(encoding="utf-8"))
        assert page.sections == [*OWN, "baseline", "looks", "cost", "training", *AROUND]
        assert page.tags["figure"] == page.tags["svg"] > 8
        assert page.text.count("probability of sticker") >= 2  # of each event that was caught or missed

    def test_numbers_are_those_of_the_json(self, written: Path, page: HtmlPage) -> None:
        scores = json.loads((written / "test.json").read_text())["targets"]["sticker"]
        event, window = scores["event"], scores["window"]
        lead = "-" if event["lead_median_s"] is None else f"{event['lead_median_s']:.1f} s"
        assert page.tiles == [
            f"{event['caught']} of {event['events']}",
            lead,
            f"{event['false_per_strand_day']:.1f}",
            f"{window['roc_auc']:.4f}",
            f"{window['ece']:.4f}",
        ]
        found = window["at_threshold"]
        assert found["true_positives"] + found["false_negatives"] == window["positives"]
        assert found["false_positives"] + found["true_negatives"] == window["negatives"]
        table = next(table for table in page.tables if table[0][0] == "windows")
        assert [row[1:] for row in table[1:]] == [
            [f"{found['true_positives']:,}", f"{found['false_negatives']:,}"],
            [f"{found['false_positives']:,}", f"{found['true_negatives']:,}"],
        ]
        (told,) = [table for table in page.tables if table[0][0] == "type" and table[0][1] == "events"]
        assert told[1][:3] == ["sticker", str(event["events"]), str(event["caught"])]

    def test_tells_the_comparison_and_the_cost_that_lay_beside_it(self, beside: Path, page: HtmlPage) -> None:
        metrics, profile = (json.loads((beside / name).read_text()) for name in ("metrics.json", "profile.json"))
        headline = next(table for table in page.tables if table[0][1:2] == ["summary"])
        one = metrics["comparison"]["roc_auc"]
        assert headline[1][:4] == ["ROC-AUC", f"{one['baseline']:.4f}", "-", f"{one['sequence']:.4f}"]
        explained = json.loads((beside / "explain.json").read_text())
        ranked = next(table for table in page.tables if table[0][0] == "sensor")
        assert [row[0] for row in ranked[1:]] == [one["sensor"] for one in explained["ranking"]["sticker"]][:8]
        judged = next(table for table in page.tables if table[0][-1] == "verdict")
        assert judged[1][-1] == explained["judgements"][0]["verdict"]
        times = next(table for table in page.tables if table[0][0] == "runtime")
        assert [row[:3] for row in times[1:]] == [
            [timing["runtime"], str(timing["batch"]), str(timing["runs"])] for timing in profile["timings"]
        ]
        assert profile["measured"] not in page.text  # a date

    def test_tells_when_the_probability_rises_and_how_much_past_it_takes(
        self, small_line: Dataset, small_export: Exported, page: HtmlPage, tmp_path: Path
    ) -> None:
        opens = f"half of them are at {small_export.bundle.manifest.alert['sticker'].open:.4f} or above"
        (table,) = [table for table in page.tables if table[0][-1] == opens]
        assert [row[:2] for row in table[1:]] == [["sticker", "2"]]
        for said in ("s from the onset", "s from the impact", "must not raise it", "last rows known", "ROC-AUC of"):
            assert said in page.text
        # Of all sequences the curves are of all events.
        whole = report(small_export.bundle, small_line, tmp_path / "all", "all")
        assert "sticker, 5 events" in whole.text

    def test_a_second_run_writes_the_same_bytes(
        self, written: Path, small_line: Dataset, small_export: Exported, beside: Path, tmp_path: Path
    ) -> None:
        again = write_report(small_export.bundle, small_line, tmp_path, beside=beside)
        assert again.read_bytes() == (written / "test.html").read_bytes()
        assert str(small_line.path).encode() not in again.read_bytes()

    def test_says_what_it_does_not_show(self, small_line: Dataset, small_export: Exported, tmp_path: Path) -> None:
        for split, said in (
            ("test", "Another seed gives other numbers"),
            ("train", "trained on these very sequences"),
            ("validation", "were chosen on these very sequences"),
        ):
            evaluation = evaluate_bundle(Predictor(small_export.bundle), small_line, split)
            found = not_shown(evaluation, read_beside([tmp_path], evaluation).missing).groups[0].texts
            assert any(said in sentence for sentence in found)
            assert evaluation.caveat in found
            assert found[-3].startswith("No comparison with a baseline was at hand")
            assert found[-2].startswith("What the network looks at was not at hand")
            assert found[-1].startswith("What an answer costs was not at hand")


class TestBeside:
    def test_what_is_of_others_is_left_out_and_told(
        self, beside: Path, small_line: Dataset, small_export: Exported, tmp_path: Path
    ) -> None:
        evaluation = evaluate_bundle(Predictor(small_export.bundle), small_line)
        for name, path, other in (
            ("metrics.json", ("data", "fingerprint"), "The comparison at hand is of other data (ffff"),
            ("explain.json", ("bundle", "model_sha256"), "The explanation at hand is of another model"),
            ("explain.json", ("data", "fingerprint"), "The explanation at hand is of other data (ffff"),
            ("profile.json", ("model_sha256",), "The profile at hand is of another model"),
        ):
            folder = tmp_path / path[-1] / name
            folder.mkdir(parents=True)
            changed = found = json.loads((beside / name).read_text())
            for key in path[:-1]:
                found = found[key]
            found[path[-1]] = "ffff"
            (folder / name).write_text(json.dumps(changed))
            left = read_beside([folder], evaluation)
            assert left.chapters == ()
            assert any(sentence.startswith(other) for sentence in left.missing)

    def test_what_no_command_wrote_is_named(
        self, beside: Path, small_line: Dataset, small_export: Exported, tmp_path: Path
    ) -> None:
        evaluation = evaluate_bundle(Predictor(small_export.bundle), small_line)
        without = json.loads((beside / "metrics.json").read_text())
        del without["events"]["sticker"]["small"]["recall"], without["events"]["sticker"]["small"]["caught"]
        for name, text, said in (
            ("metrics.json", "{", "expected what `trainer compare` writes, got Expecting"),
            ("metrics.json", json.dumps(without), "got no 'caught' at "),
            ("metrics.json", "[]", "expected what `trainer compare` writes"),
            ("explain.json", "{}", "expected what `trainer explain` writes, got no 'bundle'"),
            ("explain.json", (beside / "explain.json").read_text(), "expected a picture, got no such file at "),
            ("profile.json", "{}", "expected what `trainer profile` writes, got Object missing required field"),
        ):
            for file in tmp_path.iterdir():
                file.unlink()
            (tmp_path / name).write_text(text)
            with pytest.raises(ContractError, match="run it anew") as refused:
                read_beside([tmp_path], evaluation)
            assert said in str(refused.value)

    def test_natural_rates_and_what_each_part_is_worth(self, tmp_path: Path) -> None:
        bundle = flow_bundle(tmp_path / "flow", 4.0)
        plant = write_told_plant(tmp_path / "plant")
        asked = ["--data", str(plant.path), "--bundle", str(bundle.path), "--split", "all"]
        assert run_trainer("evaluate", *asked, "--out", str(tmp_path / "natural")) == 0
        told = Difference(-0.012, -0.02, -0.004, (-0.013, -0.011))
        scores = ("test.roc_auc", "test.pr_auc")
        recipe, change = (
            ChangeResult(name, "pooling", about, False, False, 1, 1.0, {}, dict.fromkeys(scores, told))
            for name, about in ((None, "the recipe itself"), ("last", "the head sees the newest row"))
        )
        data = {"fingerprint": plant.info.fingerprint}
        ablated = AblationResult("small", "lstm", "", data, 2, (recipe, change), {})
        (tmp_path / "more/ablation").mkdir(parents=True)
        (tmp_path / "more/ablation/ablation.json").write_bytes(msgspec.json.encode(ablated.as_dict()))

        evaluation = evaluate_bundle(Predictor(bundle), plant)
        folders = [tmp_path / "more", tmp_path / "natural"]
        found = {chapter.key: chapter for chapter in read_beside(folders, evaluation).chapters}
        assert list(found) == ["ablation", "natural"]
        assert found["ablation"].groups[0].tables[0].rows == (
            ("pooling", "the head sees the newest row", *["-0.0120 [-0.0200, -0.0040]"] * 2),
        )
        rows = {row[0]: row[1] for row in found["natural"].groups[0].tables[0].rows}
        event = json.loads((tmp_path / "natural/all.json").read_text())["targets"]["leak"]["event"]
        assert rows["events caught"] == f"{event['caught']} of {event['events']}"
        week = 7 * event["false_per_strand_day"]
        assert rows["false a strand-week (95 %)"].startswith(f"{week:.2f} (")

        for folder, key in (("natural/all.json", "bundle"), ("more/ablation/ablation.json", "data")):
            changed = json.loads((tmp_path / folder).read_text())
            changed[key][{"bundle": "model_sha256", "data": "fingerprint"}[key]] = "ffff"
            (tmp_path / folder).write_text(json.dumps(changed))
        left = read_beside(folders, evaluation)
        assert left.chapters == ()
        assert [sentence for sentence in left.missing if "ffff" in sentence] == [
            f"The ablation at hand is of other data (ffff, not {plant.info.fingerprint[:12]}) and is left out.",
            "The evaluation of another line at hand is of another model (ffff) and is left out.",
        ]

    def test_with_needs_a_folder_and_out(
        self, small_line: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for further in (["--with", str(tmp_path)], ["--with", str(tmp_path / "none"), "--out", str(tmp_path)]):
            assert run_trainer("evaluate", "--data", str(small_line.path), *further) == 2
            assert capsys.readouterr().err.startswith("error: expected a folder beside --out, got ")


def flow_bundle(folder: Path, gain: float, target: str = "leak") -> bundles.Bundle:
    """A bundle for the told plant that always (gain above 0) or never (below) says 1."""
    made = test_bundles.manifest(RULES, list(SENSORS), targets=[target], alert={target: AlertPolicy(0.7, 0.5, 0, 0, 0)})
    golden = test_bundles.golden(RULES)
    golden = bundles.Golden(golden.windows, test_bundles.expected(golden.windows, gain))
    graph = test_bundles.graph(RULES, gain=gain).SerializeToString()
    return bundles.write(folder, msgspec.structs.replace(made, name="flow"), graph, golden, {})


class TestOddData:
    def test_no_event_and_no_false_alarm(self, tmp_path: Path) -> None:
        bundle = flow_bundle(tmp_path / "flow", -4.0, "fire")
        plant = write_told_plant(tmp_path / "plant")
        found = report(bundle, plant, tmp_path / "out")
        assert found.sections == [*OWN, *AROUND]  # the bundle has no training.json
        assert found.tiles[:4] == ["0 of 0", "-", "0.0", "-"]
        for said in ("No event was caught.", "No event was missed.", "There was no false alert.", "are of one class"):
            assert said in found.text

    def test_every_event_missed_or_alarms_alone(self, tmp_path: Path) -> None:
        plant = write_told_plant(tmp_path / "plant")
        silent, loud = (flow_bundle(tmp_path / f"flow{gain}", gain) for gain in (-4.0, 4.0))
        missed = report(silent, plant, tmp_path / "silent")
        assert missed.tiles[:3] == ["0 of 6", "-", "0.0"]
        assert "leak, at most 0.000" in missed.text
        alarmed = report(loud, plant, tmp_path / "loud")
        assert alarmed.tiles[0] == "0 of 6"  # it alarms from the first window on, and so says nothing new
        assert "nothing, open for 190 s" in alarmed.text

    def test_sequences_too_short_for_a_window(self, tmp_path: Path) -> None:
        with DatasetWriter(
            tmp_path / "plant", line="import/table", seed=0, period_ms=1000, sensors=SENSORS, targets=("leak",)
        ) as writer:
            for number, split in enumerate(("train", "validation", "test")):
                writer.add(sequence(f"s{number}", np.full((5, 2), number, np.float32)), (), split)
        bundle = flow_bundle(tmp_path / "flow", 4.0)
        found = report(bundle, Dataset.open(tmp_path / "plant"), tmp_path / "out")
        assert "time" not in found.sections
        assert found.tiles == ["0 of 0", "-", "-", "-", "-"]
        assert "No window of these sequences is positive or negative of leak." in found.text

    def test_names_are_text_whatever_is_in_them(self, tmp_path: Path) -> None:
        kind = "<script>alert('&')</script>"
        with DatasetWriter(
            tmp_path / "plant", line="import/<b>", seed=0, period_ms=1000, sensors=SENSORS, targets=("leak",)
        ) as writer:
            for number, split in enumerate(("train", "validation", "test")):
                values = np.full((200, 2), 50 + number, np.float32)
                events = [
                    event(f"s{number}", kind, 60, 100, target="leak"),
                    event(f"s{number}", f"look {kind}", 120, 140),
                ]
                writer.add(sequence(f"s{number}", values), events, split)
        bundle = flow_bundle(tmp_path / "flow", 4.0)
        plant = Dataset.open(tmp_path / "plant")
        path = tmp_path / "out"
        found = report(bundle, plant, path)
        assert "<script>" not in (path / "test.html").read_text()
        assert kind in found.text
        assert "import/<b>" in found.text
