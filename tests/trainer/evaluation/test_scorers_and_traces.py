"""Networks answer in torch as their bundle does; answers are kept; alerts are found quickly and the same."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.told_plant import FlowScorer, write_told_plant

from models.alerting import AlertMachine, AlertPolicy, Transition
from models.errors import ContractError
from models.runtime import Predictor
from trainer.config import AlertSettings
from trainer.datasets.dataset import Dataset
from trainer.device import one_thread_each
from trainer.evaluation.events import AlertSpan, Trace, run_alerts
from trainer.evaluation.kept_traces import KeptTraces
from trainer.evaluation.network_scorer import NetworkScorer
from trainer.evaluation.thresholds import LOWEST, UNTOLD, choose_policy, own_candidates
from trainer.evaluation.traces import trace_split
from trainer.export import Exported
from trainer.train_sequence import TrainingRun


def trace(probabilities: list[float], segment: list[int] | None = None) -> Trace:
    said = np.array(probabilities, np.float32)[:, None]
    segments = np.zeros(len(said), np.int64) if segment is None else np.array(segment, np.int64)
    return Trace("s00", np.arange(len(said), dtype=np.int64) * 1000, said, segments, 1000, 10_000)


class TestNetworkScorer:
    def test_traces_the_windows_of_the_bundle_with_its_answers(
        self, small_run: TrainingRun, small_export: Exported, small_line: Dataset
    ) -> None:
        manifest = small_export.bundle.manifest
        scorer = NetworkScorer(
            small_run.model, small_run.preprocessor.module(), manifest.window, manifest.sensors, manifest.targets
        )
        (ours,) = trace_split(scorer, small_line, "test")
        (theirs,) = trace_split(Predictor(small_export.bundle, device="cpu"), small_line, "test")
        assert np.array_equal(ours.event_time_ms, theirs.event_time_ms)
        np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=1e-5)

    def test_leaves_the_windows_as_they_were_and_answers_more_than_a_batch(self, small_run: TrainingRun) -> None:
        rules, sensors = small_run.validation.rules, small_run.dataset.info.sensors
        scorer = NetworkScorer(small_run.model, small_run.preprocessor.module(), rules, sensors, ["sticker"])
        windows = np.random.default_rng(0).normal(100, 50, (300, rules.length, len(sensors))).astype(np.float32)
        windows[5, 3, 2] = np.nan
        before = windows.copy()
        said = scorer.predict(windows)
        np.testing.assert_array_equal(windows, before)
        np.testing.assert_allclose(said[290:], scorer.predict(windows[290:]), atol=1e-6)
        assert np.isfinite(said).all()
        assert said.std() > 0

    def test_threads_of_torch_are_given_back(self) -> None:
        before = torch.get_num_threads()
        torch.set_num_threads(2)
        try:
            with one_thread_each():
                assert torch.get_num_threads() == 1
            assert torch.get_num_threads() == 2
        finally:
            torch.set_num_threads(before)


class TestKeptTraces:
    def test_are_read_as_they_were_written_one_without_windows_too(self, tmp_path: Path) -> None:
        line = write_told_plant(tmp_path / "data", (1, 1, 2))
        traces = trace_split(FlowScorer(5), line, "test")
        first = traces[0]
        traces.append(replace(first, event_time_ms=first.event_time_ms[:0], probabilities=first.probabilities[:0],
                              segment=first.segment[:0]))  # fmt: skip
        kept = KeptTraces(tmp_path / "kept")
        assert kept.read("one", "test") is None
        kept.write("one", "test", traces)
        assert kept.read("one", "validation") is None
        found = kept.read("one", "test")
        assert found is not None
        for ours, theirs in zip(traces, found, strict=True):
            assert (ours.sequence_id, ours.grid_ms, ours.window_ms) == (
                theirs.sequence_id,
                theirs.grid_ms,
                theirs.window_ms,
            )
            for name in ("event_time_ms", "probabilities", "segment"):
                np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))

    def test_a_broken_file_is_named(self, tmp_path: Path) -> None:
        kept = KeptTraces(tmp_path)
        kept.write("one", "test", [trace([0.1])])
        path = tmp_path / "one-test.npz"
        path.write_bytes(path.read_bytes()[:-30])
        with pytest.raises(ContractError, match=r"expected traces, got .*one-test.npz: remove it"):
            kept.read("one", "test")


def step_by_step(traced: Trace, policy: AlertPolicy) -> list[AlertSpan]:
    """The alerts of a machine that is told everything, as the worker tells it."""
    machine, spans, opened = AlertMachine(policy), [], None
    segment = traced.segment[0] if len(traced.segment) else 0
    for now, said, current in zip(
        traced.event_time_ms.tolist(), traced.probabilities[:, 0].tolist(), traced.segment.tolist(), strict=True
    ):
        moves = [machine.give_up()] if current != segment else []
        segment = current
        for move in [*moves, machine.observe(now, said)]:
            if move is Transition.OPENED:
                opened = machine.opened_at_ms
            elif move is Transition.CLOSED and opened is not None:
                spans.append(AlertSpan(opened, machine.closed_at_ms))
                opened = None
    return spans if opened is None else [*spans, AlertSpan(opened, None)]


class TestAlerts:
    @given(
        st.lists(st.tuples(st.sampled_from([0.05, 0.4, 0.6, 0.9]), st.booleans()), max_size=60),
        st.integers(0, 4),
        st.integers(0, 4),
        st.integers(0, 8),
    )
    @settings(deadline=None, max_examples=150)
    def test_what_is_skipped_at_rest_changes_nothing(
        self, told: list[tuple[float, bool]], on_s: int, off_s: int, cooldown_s: int
    ) -> None:
        traced = trace([said for said, _ in told], np.cumsum([new for _, new in told], dtype=np.int64).tolist())
        policy = AlertPolicy(0.6, 0.4, on_s * 1000, off_s * 1000, cooldown_s * 1000)
        assert run_alerts(traced, 0, policy) == step_by_step(traced, policy)


class TestThresholds:
    def test_own_candidates_follow_the_ranks_and_not_the_scale(self) -> None:
        said = np.random.default_rng(0).uniform(0.05, 0.95, 3000)
        one, other = (own_candidates([trace(values.tolist())], 0, 49) for values in (said, said**2))
        assert len(one) == len(other) > 40
        for low, squared in zip(one[:-1], other[:-1], strict=True):
            assert np.count_nonzero(said >= low) == pytest.approx(np.count_nonzero(said**2 >= squared), abs=1)
        assert one[-2] <= np.float32(said.max()) < one[-1]
        assert min(own_candidates([trace([0.0] * 10)], 0)) == LOWEST
        assert own_candidates([trace([])], 0) == own_candidates([], 0) == (UNTOLD,)

    def test_a_longer_delay_is_chosen_where_it_keeps_the_budget(self, tmp_path: Path) -> None:
        line = write_told_plant(tmp_path / "data", (1, 1, 1))
        (name,) = (info.sequence_id for info in line.sequences("validation"))
        probabilities = np.full(200, 0.01)
        probabilities[65:90] = 0.9
        probabilities[150:156] = 0.9  # the hatch: as high, for less long
        traced = Trace(name, np.arange(200) * 1000, probabilities[:, None].astype(np.float32), np.zeros(200, np.int64),
                       1000, 10_000)  # fmt: skip
        events = {name: line.events(name)}
        quick = AlertSettings(4000, 5000, 5000, "critical", false_per_strand_day=0.0)
        policy, scores = choose_policy([traced], events, "leak", 0, quick)
        assert (policy.on_delay_ms, scores.caught, scores.false_alerts) == (8000, 1, 0)
        policy, scores = choose_policy([traced], events, "leak", 0, replace(quick, on_delay_fixed=True))
        assert (policy.on_delay_ms, scores.caught, scores.false_alerts) == (4000, 0, 0)
        lavish = AlertSettings(4000, 5000, 5000, "critical", false_per_strand_day=1e6)
        policy, scores = choose_policy([traced], events, "leak", 0, lavish)
        assert (policy.on_delay_ms, scores.caught, scores.false_alerts) == (8000, 1, 0)

    def test_of_equals_the_delay_of_the_settings_stays(self) -> None:
        settings_of = AlertSettings(4000, 5000, 5000, "critical", false_per_strand_day=1.0)
        policy, _ = choose_policy([trace([0.1] * 50)], {}, "leak", 0, settings_of)
        assert policy.on_delay_ms == 4000
