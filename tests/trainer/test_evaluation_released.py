"""The bundle that is released: on the recorded line of the demo, and beside its committed evaluation."""

import json

import numpy as np
import pytest

from models import recording
from models.bundle import RELEASED
from models.judging import event_caught, verdict
from models.runtime import Predictor
from trainer.datasets.records import SequenceData
from trainer.evaluation.evaluate import CAVEAT
from trainer.evaluation.events import run_alerts
from trainer.evaluation.traces import trace_sequence

EARLY_S = 400


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load("current", device="cpu")


def test_recorded_line_raises_true_alerts_early_and_no_false_one(predictor: Predictor) -> None:
    line = recording.read(recording.default_path())
    names = [sensor.name for sensor in line.sensors]
    columns = np.array([names.index(name) for name in predictor.manifest.sensor_names])
    rows = len(line.event_time_ms)
    verdicts, opened, caught = [], [], 0
    for index, strand in enumerate(line.strands):
        sequence = SequenceData(
            sequence_id=strand,
            strand_id=strand,
            event_time_ms=line.event_time_ms,
            values=line.values[index],
            seq=np.arange(rows),
            heat_id=line.heat_ids[index],
            strand_position_m=line.strand_position_m[index],
        )
        events = [event for event in line.events if event.strand_id == strand and event.target == "sticker"]
        alerts = run_alerts(trace_sequence(predictor, sequence, columns), 0, predictor.manifest.alert["sticker"])
        verdicts += [verdict(alert.opened_at_ms, events) for alert in alerts]
        opened += [alert.opened_at_ms for alert in alerts]
        caught += sum(any(event_caught(alert.opened_at_ms, [event]) for alert in alerts) for event in events)
    assert set(verdicts) == {"true"}
    assert (min(opened) - line.event_time_ms[0]) / 1000 < EARLY_S
    # It may miss stickers that only the lag between the rows tells, and no more than those.
    assert caught >= 5


@pytest.mark.parametrize("split", ["test", "all"])
def test_committed_evaluation_is_of_this_very_model_and_says_what_it_does_not_show(
    predictor: Predictor, split: str
) -> None:
    folder = RELEASED / "evaluation" / predictor.manifest.name
    report = json.loads((folder / f"{split}.json").read_text(encoding="utf-8"))
    assert report["bundle"] == {
        "model": predictor.manifest.model,
        "model_sha256": predictor.manifest.model_sha256,
    }
    assert report["caveat"] == CAVEAT
    assert CAVEAT in (folder / f"{split}.md").read_text(encoding="utf-8")
    assert report["data"]["trained_on_this_dataset"] is (split == "test")
