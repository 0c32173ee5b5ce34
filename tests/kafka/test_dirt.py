"""`trainer stream --dirt` through real Kafka into a real worker: every record sent is accounted for."""

from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pytest
from support.kafka_broker import Topics
from support.kafka_io import at_least, read_back
from support.lines import by_strand, offline_predictions
from support.trainers import trainer
from support.workers import environment, running

from models.errors import MessageError
from models.messages import SensorScan, decode_prediction, decode_scan
from models.runtime import Predictor
from models.windows import WindowRules, plan_windows

DENSE = ("all", "late=0.02", "duplicate=0.02", "rubbish=0.01", "gap=8", "backfill=8", "clock_skew=20", "drop_out=0.01",
         "quality=0.01", "missing_sensor=4", "stuck=4", "drift=4")  # fmt: skip


def sent_scans(values: list[bytes | None]) -> list[SensorScan]:
    """The valid scans among what was sent, bad values taken as missing, as a model has them."""
    scans = []
    for value in values:
        try:
            scan = decode_scan(value)
        except MessageError:
            continue
        good = {name: None if scan.quality.get(name) == "bad" else one for name, one in scan.values.items()}
        scans.append(msgspec.structs.replace(scan, values=good))
    return scans


def due(scans: list[SensorScan], rules: WindowRules) -> tuple[Counter[tuple[str, int]], int]:
    """How often a prediction is due at each (strand, event time), and how often a window was set back in time."""
    found: Counter[tuple[str, int]] = Counter()
    set_back = 0
    for strand_id, group in by_strand(scans).items():
        times = np.array([scan.event_time_ms for scan in group], np.int64)
        plan = plan_windows(times, strand_id, rules)
        found.update((strand_id, time) for time in times[plan.accepted[plan.due]].tolist())
        set_back += np.count_nonzero(np.diff(times[plan.accepted]) < 0)
    return found, set_back


@pytest.mark.timeout(200)
def test_every_record_of_a_dirty_line_is_accounted_for(kafka_bootstrap: str, topics: Topics, tmp_path: Path) -> None:
    line = str(tmp_path / "line")
    trainer("simulate", "--hours", "0.25", "--strands", "3", "--seed", "5", "--out", line)
    chosen = [argument for kind in DENSE for argument in ("--dirt", kind)]
    where = ("--bootstrap", kafka_bootstrap, "--topic", topics.sensors, "--speed", "0")
    told = trainer("stream", line, *where, *chosen, "--dirt-seed", "7")
    count, dirt, samples = int(str(told["acknowledged"])), told["dirt"], told["samples"]
    assert isinstance(dirt, dict)
    assert isinstance(samples, dict)
    assert all(number for counts in dirt.values() for number in counts.values()), dirt
    assert all(samples.values()), samples
    assert count == told["sent"] == sum(samples.values())
    sent = read_back(kafka_bootstrap, topics.sensors, at_least(count))
    assert len(sent) == count
    scans = sent_scans([message.value() for message in sent])
    assert len(scans) == count - dirt["rubbish"]["scans"]
    predictor = Predictor.load("current", device="cpu")
    expected, set_back = due(scans, predictor.manifest.window)
    assert set_back > 0
    with running(environment(kafka_bootstrap, topics, "current", model__device="cpu")) as worker:
        messages = read_back(kafka_bootstrap, topics.predictions, at_least(expected.total()))
        letters = read_back(kafka_bootstrap, topics.dead_letters, at_least(samples["invalid"]))
        counted = {outcome: worker.metric("strandwatch_samples_total", outcome=outcome) for outcome in samples}
        assert worker.terminate()[0] == 0
    assert counted == samples
    assert sum(counted.values()) == count
    assert len(letters) == dirt["rubbish"]["scans"]
    predictions = [decode_prediction(message.value() or b"") for message in messages]
    assert Counter((one.strand_id, one.event_time_ms) for one in predictions) == expected
    answers = offline_predictions(scans, predictor)
    for one in predictions:
        key = (one.strand_id, one.event_time_ms)
        if expected[key] == 1:
            wanted = answers[key]
            assert one.probability == (None if wanted is None else pytest.approx(max(wanted), abs=1e-6))
    assert any(one.quality == "good" for one in predictions)
